import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Connection } from "../../platform/postgres/Connection.ts"
import { queryRows } from "../../platform/postgres/Rows.ts"
import { AuditId } from "../encoding/AuditId.ts"
import type { CheckedRange, Incarnation, LeftCounts, Located, SignOff } from "./AuditStore.ts"
import { beginBounded } from "./AuditWrites.ts"

/** Registering again is the heartbeat. The server's clock may step back; `seen_at` does not. */
const registerStatement = `
  insert into gatekeeper.audit_source as known (source, host, pid, started_at, boot_id, durability, seen_at)
  values ($1, $2, $3, $4, $5, $6, clock_timestamp())
  on conflict (source) do update
  set host = excluded.host, pid = excluded.pid, started_at = excluded.started_at, boot_id = excluded.boot_id,
    durability = excluded.durability, seen_at = greatest(known.seen_at, excluded.seen_at)`

/** Creates the row if nothing was ever written: an incarnation that wrote no event has an end too. */
const signOffStatement = `
  insert into gatekeeper.audit_source as known (source, host, pid, started_at, boot_id, durability,
    signed_off_seq, signed_off_at, shed, refused, unwritten, in_doubt, quarantined)
  values ($1, $2, $3, $4, $5, $6, $7, clock_timestamp(), $8, $9, $10, $11, $12)
  on conflict (source) do update
  set host = excluded.host, pid = excluded.pid, started_at = excluded.started_at, boot_id = excluded.boot_id,
    durability = excluded.durability, signed_off_seq = excluded.signed_off_seq,
    signed_off_at = coalesce(known.signed_off_at, excluded.signed_off_at),
    shed = excluded.shed, refused = excluded.refused, unwritten = excluded.unwritten, in_doubt = excluded.in_doubt,
    quarantined = greatest(known.quarantined, excluded.quarantined)`

/** A sign-off that exists already is kept, with its counts. */
const closeUnknownStatement = `
  insert into gatekeeper.audit_source as known (source, unsigned_after, refused, shed, quarantined)
  values ($1, $2, $3, $4, $5)
  on conflict (source) do update
  set unsigned_after = coalesce(known.unsigned_after, excluded.unsigned_after),
    refused = case when known.signed_off_seq is null then greatest(known.refused, excluded.refused) else known.refused end,
    shed = case when known.signed_off_seq is null then greatest(known.shed, excluded.shed) else known.shed end,
    quarantined = greatest(known.quarantined, excluded.quarantined)`

const recordLossStatement = `
  update gatekeeper.audit_source set lost = lost + $3, checked_seq = $4
  where source = $1 and checked_seq = $2 and checked_seq < $4`

/** Waits for each transaction of the source that has reached its COMMIT: it holds a lock on this row until it ends. */
const awaitWritersStatement = `
  insert into gatekeeper.audit_source as known (source) values ($1)
  on conflict (source) do update set last_seq = known.last_seq
  returning last_seq`

const locateStatement = `
  select id, true as recorded from gatekeeper.audit_log where source = $1 and id = any($2)
  union all
  select event_id, false from gatekeeper.audit_dead_letter where source = $1 and event_id = any($2)`

const LocatedRows = Schema.Array(Schema.Struct({ id: AuditId, recorded: Schema.Boolean }))

const LastRow = Schema.Tuple(Schema.Struct({ last_seq: Schema.NumberFromString }))

const identity = ({ bootId, durability, host, pid, source, startedAt }: Incarnation) => [
  source,
  host,
  pid,
  new Date(startedAt),
  bootId,
  durability
]

/** Registers an incarnation within the caller's transaction. */
export const registerWithin = (connection: Connection, incarnation: Incarnation) =>
  connection.query(registerStatement, identity(incarnation))

/** The statements on `audit_source`, for this process and for dead processes, and the look-up of rows in doubt. */
export const incarnationStatements = (connection: Connection, statementTimeout: number) => {
  const bounded = <A, E>(body: Effect.Effect<A, E>) =>
    connection.transaction(Effect.zipRight(connection.query(beginBounded(statementTimeout)), body), { begun: true })

  return {
    register: (incarnation: Incarnation) => bounded(registerWithin(connection, incarnation)),
    signOff: (incarnation: Incarnation, end: SignOff) =>
      bounded(
        connection.query(signOffStatement, [
          ...identity(incarnation),
          end.lastSeq,
          end.shed,
          end.refused,
          end.unwritten,
          end.inDoubt,
          end.quarantined
        ])
      ),
    /** Signs off a source whose numbers are given in the transaction of their rows: it is complete up to its last row. */
    signOffAtLastRow: (incarnation: Incarnation) =>
      bounded(
        Effect.gen(function* () {
          const [{ last_seq }] = yield* queryRows(connection, LastRow, awaitWritersStatement, [incarnation.source])
          yield* connection.query(signOffStatement, [...identity(incarnation), last_seq, 0, 0, 0, 0, 0])
        })
      ),
    closeUnknown: (source: string, after: number, { quarantined, refused, shed }: LeftCounts) =>
      bounded(connection.query(closeUnknownStatement, [source, after, refused, shed, quarantined])),
    recordLoss: (source: string, { checkedSeq, from, lost }: CheckedRange) =>
      Effect.map(
        bounded(connection.query(recordLossStatement, [source, from, lost, checkedSeq])),
        ({ rowCount }) => rowCount === 1
      ),
    /** Read committed mode lets the second statement see the rows that the first one waited for. */
    locate: ({ source }: Incarnation, ids: ReadonlyArray<AuditId>) =>
      bounded(
        Effect.zipRight(
          connection.query(awaitWritersStatement, [source]),
          queryRows(connection, LocatedRows, locateStatement, [source, ids])
        )
      ).pipe(
        Effect.map(
          (rows): Located => ({
            committed: new Set(rows.flatMap((row) => (row.recorded ? [row.id] : []))),
            deadLettered: new Set(rows.flatMap((row) => (row.recorded ? [] : [row.id])))
          })
        )
      )
  }
}
