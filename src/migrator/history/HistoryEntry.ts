import * as Schema from "effect/Schema"
import { Progress } from "../files/Batches.ts"

/** One row of `<service>.schema_history`: a revision that stands in the database, whole or in part. */
export const HistoryEntry = Schema.Struct({
  revision: Schema.Number,
  slug: Schema.String,
  kind: Schema.Literal("sql", "ts"),
  phase: Schema.Literal("expand", "contract"),
  /** `applying` and `reverting`: a revision without a transaction was left, or is, half-way. */
  state: Schema.Literal("applied", "applying", "reverting"),
  up_checksum: Schema.String,
  down_checksum: Schema.NullOr(Schema.String),
  /** The down section as it was when the revision was applied: the way back even without its file. Null for kind `ts`. */
  down_script: Schema.NullOr(Schema.String),
  irreversible_reason: Schema.NullOr(Schema.String),
  steps_done: Schema.Number,
  steps_total: Schema.Number,
  /** Above `steps_done`: that statement was begun, and nobody recorded how it ended. */
  steps_begun: Schema.Number,
  /** SHA-256 of each statement done, in order. */
  step_checksums: Schema.Array(Schema.String),
  /** How far batched work has come, by name. */
  progress: Schema.Record({ key: Schema.String, value: Progress }),
  started_at: Schema.ValidDateFromSelf,
  finished_at: Schema.NullOr(Schema.ValidDateFromSelf),
  duration_ms: Schema.NullOr(Schema.Number),
  applied_by: Schema.String,
  app_version: Schema.String,
  tool_version: Schema.Number
})
export type HistoryEntry = typeof HistoryEntry.Type
