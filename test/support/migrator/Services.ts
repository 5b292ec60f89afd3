import { gatekeeperSchema } from "../../../src/gatekeeper/GatekeeperSchema.ts"
import { guardianSchema } from "../../../src/guardian/GuardianSchema.ts"
import { routerSchema } from "../../../src/router/RouterSchema.ts"

export const { service: gatekeeper } = gatekeeperSchema
export const { service: guardian } = guardianSchema
export const { service: router } = routerSchema

/** The services of the program, in start order. */
export const migratedServices = [gatekeeper, guardian, router]

/** The same by name. */
export const servicesByName = { gatekeeper, guardian, router }
