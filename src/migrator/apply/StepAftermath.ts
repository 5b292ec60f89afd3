import * as Effect from "effect/Effect"
import type { ServiceName } from "../../domain/Service.ts"
import type { Row } from "../../platform/postgres/Connection.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"

/** What a step finds after its statements. */
export interface StepAftermath {
  /** Fails if the statements released the lock: another process may have begun to migrate. */
  readonly requireHeld: Effect.Effect<void, DatabaseError>
  /** Adds to an error of the record what the statements did that explains it. */
  readonly explain: (cause: DatabaseError) => DatabaseError
}

/**
 * What the statements of a revision may have changed in the session, as far as the record of the revision depends on it. Any role may
 * ask it: `to_regclass` would need USAGE of the schema, which the role that a revision left may lack.
 */
export const aftermathColumns = (service: ServiceName): string =>
  `pg_catalog.pg_backend_pid() as pid, current_user::text as role, pg_catalog.current_setting('transaction_read_only') as read_only,
   exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = '${service}' and c.relname = 'schema_history') as history`

const released =
  "the revision released the migration lock, which protects it from another process that migrates: remove pg_advisory_unlock_all, " +
  "discard all, or what calls them"

/** Why the record of a revision failed, by what its statements left behind; null if they left nothing. */
const explanation = (service: ServiceName, role: string, row: Row, { sqlstate }: DatabaseError): string | null => {
  const table = `${service}.schema_history`
  if (row["history"] !== true) return `the revision dropped or renamed ${table}, the history of its own schema`
  if (row["role"] !== role) {
    return `the revision left the session as role ${row["role"]}: end it with "reset role" (or "reset session authorization")`
  }
  if (row["read_only"] === "on") return "the revision left the transaction read-only"
  return sqlstate === "42501" ? `role ${role} may no longer write ${table}` : null
}

/** Reads a row of `held` and `aftermathColumns`. `role` is the session's before the step. */
export const aftermathOf = (service: ServiceName, role: string, row: Row): StepAftermath => ({
  // 55000: not in the state that the operation needs.
  requireHeld:
    row["held"] === true ? Effect.void : new DatabaseError({ phase: "statement", reason: released, sqlstate: "55000" }),
  explain: (cause) => {
    const { phase, reason, sqlstate } = cause
    const why = explanation(service, role, row, cause)
    return why === null ? cause : new DatabaseError({ phase, reason: `${reason}; ${why}`, sqlstate })
  }
})
