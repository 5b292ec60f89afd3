import type * as SqlClient from "@effect/sql/SqlClient"
import type * as Effect from "effect/Effect"
import type { Batches } from "./Batches.ts"

/**
 * The work of a data revision. Its SqlClient is the migrator's own session: without `transaction:false` everything runs in
 * the one transaction that also records the revision, and `sql.withTransaction` is a savepoint in it. Names are resolved with an empty
 * search_path: write `router.history`, not `history`.
 */
export type DataWork = Effect.Effect<unknown, unknown, SqlClient.SqlClient | Batches>

/** What `migrations/<service>/NNNN_slug.ts` exports, by name or as its default. */
export type DataRevision =
  | { readonly up: DataWork; readonly down: DataWork; readonly irreversible?: never }
  | {
      readonly up: DataWork
      /** Why there is no way back. */
      readonly irreversible: string
      readonly down?: never
    }

/**
 * States a data revision. Phase, timeouts and `transaction:false` stand on a comment line of their own, so that they are
 * known without running the file:
 *
 *     // migrate:up transaction:false
 *     export default dataRevision({
 *       up: untilNoRowIsLeft({ name: "reasons", batch: … }),
 *       irreversible: "the rows that had no reason are not remembered"
 *     })
 *
 * With `transaction:false` a run that was cut off is begun again from the start of its `up`: batches skip what they have
 * committed, and whatever stands beside them must bear to run twice.
 */
export const dataRevision = (revision: DataRevision): DataRevision => revision
