import type { ServiceName } from "../domain/Service.ts"
import { gatekeeperSchema } from "../gatekeeper/GatekeeperSchema.ts"
import { guardianSchema } from "../guardian/GuardianSchema.ts"
import type { ServiceSchema } from "../migrator/Migrator.ts"
import { routerSchema } from "../router/RouterSchema.ts"

/** The schema of each service. Loads no code of the services. */
export const schemas = {
  gatekeeper: gatekeeperSchema,
  guardian: guardianSchema,
  router: routerSchema
} as const satisfies { readonly [S in ServiceName]: ServiceSchema<S> }
