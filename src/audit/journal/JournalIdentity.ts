import * as Schema from "effect/Schema"

/** The owner of a journal: one incarnation of a process, for one trail. */
export const JournalIdentity = Schema.Struct({
  /** The id of the trail, a uuid: a journal is written to no other trail. */
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
