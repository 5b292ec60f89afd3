import * as Schema from "effect/Schema"

/** The three services. Each owns the PostgreSQL schema of the same name. */
export const ServiceName = Schema.Literal("gatekeeper", "guardian", "router")
export type ServiceName = typeof ServiceName.Type

/** In start order: a service comes after those that it asks. */
export const serviceNames: ReadonlyArray<ServiceName> = ServiceName.literals

/** `gatekeeper` -> `Gatekeeper`, for lines that people read. */
export const titleOf = (service: ServiceName): string => service.charAt(0).toUpperCase() + service.slice(1)
