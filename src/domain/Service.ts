import * as Schema from "effect/Schema"

/** The three services. Each owns the PostgreSQL schema of the same name. */
export const ServiceName = Schema.Literal("gatekeeper", "guardian", "router")
export type ServiceName = typeof ServiceName.Type

/** In start order: a service comes after those that it calls. */
export const serviceNames: ReadonlyArray<ServiceName> = ServiceName.literals

export const defaultPorts: Readonly<Record<ServiceName, number>> = { gatekeeper: 8001, guardian: 8003, router: 8004 }

/** `gatekeeper` -> `Gatekeeper`, for lines that people read. */
export const titleOf = (service: ServiceName): string => service.charAt(0).toUpperCase() + service.slice(1)
