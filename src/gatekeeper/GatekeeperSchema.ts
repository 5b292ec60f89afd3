import { serviceSchema } from "../migrator/Migrator.ts"

/** The gatekeeper's schema; its revisions are in migrations/gatekeeper. */
export const gatekeeperSchema = serviceSchema({ name: "gatekeeper", directory: "gatekeeper" })
