import { serviceSchema } from "../migrator/Migrator.ts"

/** The guardian's schema; its revisions are in migrations/guardian. */
export const guardianSchema = serviceSchema({ name: "guardian", directory: "guardian" })
