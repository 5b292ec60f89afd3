import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Connection } from "../../platform/postgres/Connection.ts"
import { isReplayed } from "../store/AuditWrites.ts"
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

const decodeSummaries = Schema.decodeUnknown(Schema.Array(Summary))
const decodeDetails = Schema.decodeUnknown(
  Schema.Array(Schema.Struct({ ...Summary.fields, body: Schema.Uint8ArrayFromSelf }))
)
const decodeReplays = Schema.decodeUnknown(Schema.Array(ReplayRecord))
const decodeKeys = Schema.decodeUnknown(
  Schema.Array(Schema.Struct({ eventId: Schema.String, leafHash: Schema.String }))
)

const columns = `letter.event_id as "eventId", encode(letter.leaf_hash, 'hex') as "leafHash", letter.source, letter.seq,
  letter.sqlstate, letter.reason, letter.attempts, letter.at, octet_length(letter.body) as size, ${isReplayed} as settled, (
    select count(*)::integer from gatekeeper.audit_dead_letter_replay as replay
    where (replay.event_id, replay.leaf_hash) = (letter.event_id, letter.leaf_hash)
  ) as replays`

const placeOf = `select place.at, place.event_id, place.leaf_hash from gatekeeper.audit_dead_letter as place
  where place.event_id = $1 and place.leaf_hash = decode($2, 'hex')`

/** Reads a page of letters, newest first. */
export const page = (connection: Connection, limit: number, after: LetterKey | undefined) =>
  connection
    .query(
      `select ${columns} from gatekeeper.audit_dead_letter as letter
       where $1::uuid is null or (letter.at, letter.event_id, letter.leaf_hash) < (${placeOf})
       order by letter.at desc, letter.event_id desc, letter.leaf_hash desc
       limit $3`,
      [after?.eventId ?? null, after?.leafHash ?? null, limit]
    )
    .pipe(Effect.flatMap(({ rows }) => Effect.orDie(decodeSummaries(rows))))

/** Reads all letters of one event: there are several if their contents differ. */
export const details = Effect.fnUntraced(function* (connection: Connection, eventId: string) {
  const found = yield* connection.query(
    `select ${columns}, letter.body from gatekeeper.audit_dead_letter as letter
     where letter.event_id = $1 order by letter.at, letter.leaf_hash`,
    [eventId]
  )
  const letters = yield* Effect.orDie(decodeDetails(found.rows))
  const records = yield* connection.query(
    `select at, by, outcome, detail, encode(leaf_hash, 'hex') as "leafHash"
     from gatekeeper.audit_dead_letter_replay where event_id = $1 order by no`,
    [eventId]
  )
  const tries = yield* Effect.orDie(decodeReplays(records.rows))
  return letters.map(
    (letter): LetterDetail => ({
      ...letter,
      tries: tries
        .filter(({ leafHash }) => leafHash === letter.leafHash)
        .map(({ at, by, detail, outcome }) => ({ at, by, detail, outcome }))
    })
  )
})

const keysOf = (rows: unknown) => Effect.orDie(decodeKeys(rows))

/** Finds the letters of these events, oldest first. */
export const keysOfEvents = (connection: Connection, eventIds: ReadonlyArray<string>) =>
  connection
    .query(
      `select event_id as "eventId", encode(leaf_hash, 'hex') as "leafHash" from gatekeeper.audit_dead_letter
       where event_id = any($1) order by at, event_id, leaf_hash`,
      [eventIds]
    )
    .pipe(Effect.flatMap(({ rows }) => keysOf(rows)))

/** Finds the letters that are not replayed yet, oldest first. */
export const waitingKeys = (connection: Connection, limit: number, after: LetterKey | undefined) =>
  connection
    .query(
      `select event_id as "eventId", encode(leaf_hash, 'hex') as "leafHash" from gatekeeper.audit_dead_letter as letter
       where not ${isReplayed} and ($1::uuid is null or (letter.at, letter.event_id, letter.leaf_hash) > (${placeOf}))
       order by letter.at, letter.event_id, letter.leaf_hash
       limit $3`,
      [after?.eventId ?? null, after?.leafHash ?? null, limit]
    )
    .pipe(Effect.flatMap(({ rows }) => keysOf(rows)))
