import type * as SqlClient from "@effect/sql/SqlClient"
import type * as Effect from "effect/Effect"
import type { Batches } from "./Batches.ts"

/**
 * The work of a data revision. Its SqlClient is the migrator's own session. Without `transaction:false` everything runs in the
 * transaction that records the revision, and `sql.withTransaction` is a savepoint in it. The search_path is empty: write
 * `router.history`, not `history`.
 */
export type DataWork = Effect.Effect<unknown, unknown, SqlClient.SqlClient | Batches>

/** What `migrations/<service>/NNNN_slug.ts` exports, by name or as its default. */
export type DataRevision =
  | { readonly up: DataWork; readonly down: DataWork; readonly irreversible?: never }
  | {
      readonly up: DataWork
      /** Why it cannot be reverted. */
      readonly irreversible: string
      readonly down?: never
    }

/**
 * Declares a data revision. Phase, timeouts and `transaction:false` are on a comment line of their own, so that they are known
 * without running the file:
 *
 *     // migrate:up transaction:false
 *     export default dataRevision({
 *       up: untilNoRowIsLeft({ name: "reasons", batch: … }),
 *       irreversible: "the original values are not kept"
 *     })
 *
 * With `transaction:false` a run after an interruption starts at the beginning of `up`. Batches skip what they have committed; all
 * other code in it must be safe to run twice.
 */
export const dataRevision = (revision: DataRevision): DataRevision => revision
