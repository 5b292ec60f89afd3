import * as Schema from "effect/Schema"

/** Whose journal it is: one life of one process, for one trail. */
export const JournalIdentity = Schema.Struct({
  /** The id of the trail, a uuid: a journal is drained into no other. */
  trail: Schema.String,
  /** The incarnation's uuid. */
  source: Schema.String,
  bootId: Schema.String,
  /** Milliseconds since the epoch. */
  startedAt: Schema.Number,
  host: Schema.String,
  pid: Schema.Number,
  /** The mode with its exceptions, as text. */
  durability: Schema.String
})
export type JournalIdentity = typeof JournalIdentity.Type
