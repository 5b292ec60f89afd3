import * as Schema from "effect/Schema"

const JournalStatus = Schema.Struct({
  path: Schema.String,
  /** Of this process's journals together, and the bound. */
  bytes: Schema.Number,
  max_bytes: Schema.Number,
  segments: Schema.Number,
  /** Why it takes nothing now. */
  problem: Schema.NullOr(Schema.String),
  /** Why it cannot be read back now. */
  read_problem: Schema.NullOr(Schema.String),
  /** Damaged spans that were put aside. */
  quarantined: Schema.Number,
  /** Journals that others left, or keep, in the same home. */
  others: Schema.Struct({
    alive: Schema.Number,
    adopted: Schema.Number,
    /** Of another database's trail: they are left alone. */
    foreign: Schema.Array(Schema.Struct({ path: Schema.String, trail: Schema.String })),
    stuck: Schema.Array(Schema.Struct({ path: Schema.String, reason: Schema.String })),
    adopting: Schema.NullOr(
      Schema.Struct({ source: Schema.String, pending: Schema.Number, read_problem: Schema.NullOr(Schema.String) })
    )
  })
})

/** The state of a process's trail: in `/health`, `/readyz` and `/audit/pipeline`. */
export const AuditStatus = Schema.Struct({
  /** What answers wait for. */
  mode: Schema.String,
  source: Schema.String,
  accepting: Schema.Boolean,
  drain: Schema.String,
  drain_problem: Schema.NullOr(Schema.String),
  /** Events that wait. */
  depth: Schema.Number,
  /** Of `depth`: those that the memory has no room for. */
  in_journal_only: Schema.Number,
  /** Events that the memory takes. */
  capacity: Schema.Number,
  /** Of `depth`: rows that the database keeps refusing, tried again from time to time while the others pass. */
  aside: Schema.Number,
  oldest_age_ms: Schema.NullOr(Schema.Number),
  restarts: Schema.Number,
  counters: Schema.Record({ key: Schema.String, value: Schema.Number }),
  /** Null where nothing is kept on disk. */
  journal: Schema.NullOr(JournalStatus)
})
export type AuditStatus = typeof AuditStatus.Type
