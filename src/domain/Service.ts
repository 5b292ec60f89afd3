import * as Schema from "effect/Schema"

/** The three services. Each owns the PostgreSQL schema of the same name. */
export const ServiceName = Schema.Literal("gatekeeper", "guardian", "router")
export type ServiceName = typeof ServiceName.Type

/** In start order: a service comes after those that it calls. */
export const serviceNames: ReadonlyArray<ServiceName> = ServiceName.literals

export const defaultPorts: Readonly<Record<ServiceName, number>> = { gatekeeper: 8001, guardian: 8003, router: 8004 }

/** `gatekeeper` -> `Gatekeeper`, for lines that people read. */
export const titleOf = (service: ServiceName): string => service.charAt(0).toUpperCase() + service.slice(1)

const identityPrefix = "service:"

/** Whether only a service may have this name as its ghost. */
export const isServiceIdentity = (ghost: string): boolean => ghost.startsWith(identityPrefix)

/** The ghost of a process that runs these services: `service:guardian`, `service:guardian+router`. */
export const serviceIdentity = (services: ReadonlyArray<ServiceName>): string =>
  `${identityPrefix}${serviceNames.filter((one) => services.includes(one)).join("+")}`

const joint: ReadonlyArray<ReadonlyArray<ServiceName>> = [
  ["gatekeeper", "guardian"],
  ["gatekeeper", "router"],
  ["guardian", "router"],
  serviceNames
]

/** The ghosts of processes that run several services. */
export const jointServices: ReadonlyArray<string> = joint.map(serviceIdentity)

/** The services of a ghost's name; none where it is not a service's. */
export const servicesOf = (ghost: string): ReadonlyArray<ServiceName> => {
  const services = serviceNames.filter((one) => ghost.slice(identityPrefix.length).split("+").includes(one))
  return serviceIdentity(services) === ghost && services.length > 0 ? services : []
}

/** Whether `ghost` may act for the sources of `owner`: its own, and those of services that run in its process. */
export const mayActFor = (ghost: string, owner: string): boolean => {
  const services = servicesOf(ghost)
  const owned = servicesOf(owner)
  return ghost === owner || (owned.length > 0 && owned.every((one) => services.includes(one)))
}
