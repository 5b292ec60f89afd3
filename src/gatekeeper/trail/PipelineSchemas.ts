import * as Schema from "effect/Schema"
import { AuditCheck } from "../../platform/http/Health.ts"

/**
 * Wide on purpose: the handler reads the query, not the platform, so that one that is refused has its row in the trail
 * too.
 */
export const parameter = (description: string) =>
  Schema.optional(Schema.Union(Schema.String, Schema.Array(Schema.String)).annotations({ description }))

/** One incarnation of a process: `offered` is the sum of all the other counts but `unaccounted`. */
const PipelineSource = Schema.Struct({
  source: Schema.String,
  standing: Schema.Literal("this process", "signed off", "tail unknown", "being taken over", "elsewhere", "ingest"),
  /** The ghost that writes for it over HTTP; null where its process writes into the database itself. */
  identity: Schema.NullOr(Schema.String),
  host: Schema.NullOr(Schema.String),
  pid: Schema.NullOr(Schema.Number),
  durability: Schema.NullOr(Schema.String),
  started_at: Schema.NullOr(Schema.String),
  seen_at: Schema.NullOr(Schema.String),
  signed_off_at: Schema.NullOr(Schema.String),
  tail_unknown_after: Schema.NullOr(Schema.Number),
  /** Each number up to this was looked for in the table and the dead letters. */
  checked_seq: Schema.Number,
  offered: Schema.Number,
  committed: Schema.Number,
  pending: Schema.Number,
  /** Without those that were replayed. */
  dead_lettered: Schema.Number,
  quarantined: Schema.Number,
  refused: Schema.Number,
  shed: Schema.Number,
  lost: Schema.Number,
  unaccounted: Schema.Number,
  /** False where an older program wrote, which does not count. */
  counted: Schema.Boolean
})

/** Where the events of the trail are. Without the database, `problem` says why, and only this process is told of. */
export const PipelineReport = Schema.Struct({
  trail: Schema.NullOr(Schema.String),
  process: AuditCheck,
  problem: Schema.NullOr(Schema.String),
  sources: Schema.NullOr(Schema.Array(PipelineSource)),
  dead_letters: Schema.NullOr(Schema.Struct({ total: Schema.Number, waiting: Schema.Number })),
  next: Schema.NullOr(Schema.String)
}).annotations({ description: "The counts of each source." })

export const PipelineParams = Schema.Struct({
  limit: parameter("1 to 1000 sources; 100 where left out"),
  cursor: parameter("`next` of the page before")
})
