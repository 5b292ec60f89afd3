import { serviceSchema } from "../migrator/Migrator.ts"

/** The router's schema; its revisions are in migrations/router. */
export const routerSchema = serviceSchema({ name: "router", directory: "router" })
