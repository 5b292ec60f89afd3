import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Connection } from "../../platform/postgres/Connection.ts"
import { queryRows } from "../../platform/postgres/Rows.ts"
import { isConflict, isReplayed } from "../store/AuditWrites.ts"
import type { LetterKey } from "./DeadLetterReplay.ts"

/** A dead letter without its bytes, as the driver returns it: bigint as text, timestamptz as Date. */
const Summary = Schema.Struct({
  eventId: Schema.String,
  /** SHA-256 of the bytes, 64 hexadecimal digits. */
  leafHash: Schema.String,
  source: Schema.String,
  seq: Schema.NumberFromString,
  /** Why the table refused it. */
  sqlstate: Schema.NullOr(Schema.String),
  reason: Schema.String,
  attempts: Schema.Number,
  at: Schema.DateTimeUtcFromDate,
  /** Bytes. */
  size: Schema.Number,
  /** Whether it is in the trail by now. */
  settled: Schema.Boolean,
  /** Whether an ingest client had used its key for another event: only a replay by name brings it into the trail. */
  conflict: Schema.Boolean,
  /** Attempts to replay it. */
  replays: Schema.Number
})
export type LetterSummary = typeof Summary.Type

const ReplayRecord = Schema.Struct({
  leafHash: Schema.String,
  at: Schema.DateTimeUtcFromDate,
  by: Schema.String,
  outcome: Schema.Literal("replayed", "present", "refused", "failed"),
  detail: Schema.NullOr(Schema.String)
})

export interface LetterDetail extends LetterSummary {
  /** The event's canonical JSON as it was when it was refused, in UTF-8. */
  readonly body: Uint8Array
  /** The attempts to replay it, oldest first. */
  readonly tries: ReadonlyArray<Omit<typeof ReplayRecord.Type, "leafHash">>
}

const Keys = Schema.Array(Schema.Struct({ eventId: Schema.String, leafHash: Schema.String }))

const columns = `letter.event_id as "eventId", encode(letter.leaf_hash, 'hex') as "leafHash", letter.source, letter.seq,
  letter.sqlstate, letter.reason, letter.attempts, letter.at, octet_length(letter.body) as size, ${isReplayed} as settled,
  ${isConflict} as conflict, (
    select count(*)::integer from gatekeeper.audit_dead_letter_replay as replay
    where (replay.event_id, replay.leaf_hash) = (letter.event_id, letter.leaf_hash)
  ) as replays`

const placeOf = `select place.at, place.event_id, place.leaf_hash from gatekeeper.audit_dead_letter as place
  where place.event_id = $1 and place.leaf_hash = decode($2, 'hex')`

/** Reads a page of letters, newest first. */
export const page = (connection: Connection, limit: number, after: LetterKey | undefined) =>
  queryRows(
    connection,
    Schema.Array(Summary),
    `select ${columns} from gatekeeper.audit_dead_letter as letter
     where $1::uuid is null or (letter.at, letter.event_id, letter.leaf_hash) < (${placeOf})
     order by letter.at desc, letter.event_id desc, letter.leaf_hash desc
     limit $3`,
    [after?.eventId ?? null, after?.leafHash ?? null, limit]
  )

/** Reads all letters of one event: there are several if their contents differ. */
export const details = Effect.fnUntraced(function* (connection: Connection, eventId: string) {
  const letters = yield* queryRows(
    connection,
    Schema.Array(Schema.Struct({ ...Summary.fields, body: Schema.Uint8ArrayFromSelf })),
    `select ${columns}, letter.body from gatekeeper.audit_dead_letter as letter
     where letter.event_id = $1 order by letter.at, letter.leaf_hash`,
    [eventId]
  )
  const tries = yield* queryRows(
    connection,
    Schema.Array(ReplayRecord),
    `select at, by, outcome, detail, encode(leaf_hash, 'hex') as "leafHash"
     from gatekeeper.audit_dead_letter_replay where event_id = $1 order by no`,
    [eventId]
  )
  return letters.map(
    (letter): LetterDetail => ({
      ...letter,
      tries: tries.flatMap(({ leafHash, ...one }) => (leafHash === letter.leafHash ? [one] : []))
    })
  )
})

/** Finds the letters of these events, oldest first. */
export const keysOfEvents = (connection: Connection, eventIds: ReadonlyArray<string>) =>
  queryRows(
    connection,
    Keys,
    `select event_id as "eventId", encode(leaf_hash, 'hex') as "leafHash" from gatekeeper.audit_dead_letter
     where event_id = any($1) order by at, event_id, leaf_hash`,
    [eventIds]
  )

/** Finds the letters that are not replayed yet, oldest first, without conflicts. */
export const waitingKeys = (connection: Connection, limit: number, after: LetterKey | undefined) =>
  queryRows(
    connection,
    Keys,
    `select event_id as "eventId", encode(leaf_hash, 'hex') as "leafHash" from gatekeeper.audit_dead_letter as letter
     where not ${isReplayed} and not ${isConflict} and ($1::uuid is null or (letter.at, letter.event_id, letter.leaf_hash) > (${placeOf}))
     order by letter.at, letter.event_id, letter.leaf_hash
     limit $3`,
    [after?.eventId ?? null, after?.leafHash ?? null, limit]
  )

const Count = Schema.Tuple(Schema.Struct({ count: Schema.Number }))

/** Counts the conflicts that are not replayed. */
export const waitingConflicts = (connection: Connection) =>
  Effect.map(
    queryRows(
      connection,
      Count,
      `select count(*)::integer as count from gatekeeper.audit_dead_letter as letter
       where not ${isReplayed} and ${isConflict}`
    ),
    ([{ count }]) => count
  )
