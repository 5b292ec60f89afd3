import * as Schema from "effect/Schema"

const JournalStatus = Schema.Struct({
  path: Schema.String,
  /** Of the journals of this process together. */
  bytes: Schema.Number,
  max_bytes: Schema.Number,
  segments: Schema.Number,
  /** Why it accepts no event now. */
  problem: Schema.NullOr(Schema.String),
  /** Why it cannot be read back now. */
  read_problem: Schema.NullOr(Schema.String),
  /** Damaged spans that were set aside. */
  quarantined: Schema.Number,
  /** Journals of other processes in the same home. */
  others: Schema.Struct({
    alive: Schema.Number,
    adopted: Schema.Number,
    /** Of another database's trail: they are never read or removed. */
    foreign: Schema.Array(Schema.Struct({ path: Schema.String, trail: Schema.String })),
    stuck: Schema.Array(Schema.Struct({ path: Schema.String, reason: Schema.String })),
    adopting: Schema.NullOr(
      Schema.Struct({ source: Schema.String, pending: Schema.Number, read_problem: Schema.NullOr(Schema.String) })
    )
  })
})

/**
 * Events since the start of the process. At every moment `offered` is the sum of `committed`, `deadLettered`, `refused`, `shed`,
 * `passedOver` and the status's `depth`.
 */
export const AuditCounters = Schema.Struct({
  /** Events that were to be recorded, the trail's own included. */
  offered: Schema.Number,
  /** In `audit_log`. */
  committed: Schema.Number,
  /** In `audit_dead_letter`. */
  deadLettered: Schema.Number,
  /** Answered with 503. */
  refused: Schema.Number,
  /** Answered with an id, but never written. */
  shed: Schema.Number,
  /** Damaged in the journal before they were read back. */
  passedOver: Schema.Number,
  /** Events without an answer, where the trail did not accept the event that says so. */
  notWithdrawn: Schema.Number
})
export type AuditCounters = typeof AuditCounters.Type

/** The state of a process's trail: in `/health`, `/readyz` and `/audit/pipeline`. */
export const AuditStatus = Schema.Struct({
  /** The durability that an answer waits for, with its exceptions by result. */
  mode: Schema.String,
  source: Schema.String,
  accepting: Schema.Boolean,
  drain: Schema.String,
  drain_problem: Schema.NullOr(Schema.String),
  /** Events that wait for the database. */
  depth: Schema.Number,
  /** Of `depth`: events that the memory has no room for. */
  in_journal_only: Schema.Number,
  /** Events that the memory has room for. */
  capacity: Schema.Number,
  /** Of `depth`: rows that the database refuses again and again; they are retried from time to time while the others pass. */
  aside: Schema.Number,
  oldest_age_ms: Schema.NullOr(Schema.Number),
  restarts: Schema.Number,
  counters: AuditCounters,
  /** Null where nothing is kept on disk. */
  journal: Schema.NullOr(JournalStatus)
})
export type AuditStatus = typeof AuditStatus.Type
