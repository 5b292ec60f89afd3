import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { type Connection, connect } from "../../platform/postgres/Connection.ts"
import { Database } from "../../platform/postgres/Database.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { HashedRow } from "../encoding/AuditRow.ts"
import { incarnationStatements } from "./AuditIncarnation.ts"
import { type Appended, AuditStore, type Rejection } from "./AuditStore.ts"
import {
  advanceSource,
  beginBounded,
  conflictReason,
  copyChunks,
  copyStatement,
  insertDeadLetter,
  insertTolerantly,
  timeoutWithin
} from "./AuditWrites.ts"
import * as OwnedSession from "./OwnedSession.ts"
import { isSamePlace, otherPlace, placeOf, type TrailPlace } from "./TrailPlace.ts"

export interface PostgresAuditStoreOptions {
  readonly url: Redacted.Redacted
  /** Of one statement; a server that does not answer for longer counts as away. */
  readonly deadline?: Duration.DurationInput
  readonly connectTimeout?: Duration.DurationInput
  /** The id of the trail that the events belong to; by default that of the first session's database. */
  readonly trail?: string
}

/** A set-up error, so that the writer pauses, and writes no event into a trail that it does not belong to. */
const otherTrail = (found: string | undefined, belongs: string) =>
  new DatabaseError({
    phase: "connect",
    sqlstate: "3D000",
    reason: `this database holds ${found === undefined ? "no audit trail" : `the audit trail ${found}`}; these events belong to ${belongs}`,
    hint: "Point the gatekeeper at the database of that trail again, or restart the process to use this one."
  })

/**
 * Checks that a new session reached the trail that this process began with. While a process runs, a database may be restored,
 * or another database may take its address.
 */
const makeTrailCheck = (given: string | undefined, deadline: Duration.DurationInput) => {
  let belongs = given
  let began: TrailPlace | undefined
  return Effect.fnUntraced(function* (connection: Connection) {
    const answer = yield* connection
      .query("select id from gatekeeper.audit_trail", undefined, { deadline })
      .pipe(Effect.mapError((error) => new DatabaseError({ ...error, phase: "connect" })))
    const found = answer.rows[0]?.["id"]
    const trail = typeof found === "string" ? found : undefined
    belongs ??= trail
    if (trail === undefined || trail !== belongs) return yield* otherTrail(trail, belongs ?? "one")
    const place = yield* placeOf(connection).pipe(
      Effect.mapError((error) => new DatabaseError({ ...error, phase: "connect" }))
    )
    began ??= place
    return isSamePlace(began, place) ? { trail, place } : yield* otherPlace(trail)
  })
}

/** Writes rows of which some may be in the table, and advances their source. A known id with another content is a dead letter. */
const insertRows = Effect.fnUntraced(function* (
  connection: Connection,
  rows: ReadonlyArray<HashedRow>,
  last: HashedRow,
  statementTimeout: number
) {
  yield* connection.query(beginBounded(statementTimeout))
  const { conflicts, inserted, replayed } = yield* insertTolerantly(connection, rows, "drain")
  let deadLettered = 0
  for (const row of conflicts) {
    if (yield* insertDeadLetter(connection, row, { sqlstate: "23505", reason: conflictReason, attempts: 1 }))
      deadLettered += 1
  }
  yield* advanceSource(
    connection,
    last.source,
    last.seq,
    { committed: inserted.length, deadLettered, replayed },
    inserted
  )
  return conflicts.map((row) => row.id)
})

/** Writes rows of one source and advances the source, in one transaction. With `certain` no row can be in the table: COPY. */
const appendRows = (
  connection: Connection,
  rows: ReadonlyArray<HashedRow>,
  { certain, statementTimeout }: { readonly certain: boolean; readonly statementTimeout: number }
): Effect.Effect<Appended, DatabaseError> => {
  const last = rows.at(-1)
  if (last === undefined) return Effect.succeed({ conflicts: [] })
  const copy = copyStatement(last.source, last.seq, rows, statementTimeout)
  const written = certain
    ? Effect.as(connection.copyIn(copy, copyChunks(rows)), [])
    : insertRows(connection, rows, last, statementTimeout)
  return Effect.map(connection.transaction(written, { begun: true }), (conflicts) => ({ conflicts }))
}

const writeDeadLetter = (connection: Connection, row: HashedRow, why: Rejection, statementTimeout: number) =>
  Effect.gen(function* () {
    yield* connection.query(beginBounded(statementTimeout))
    const isNew = yield* insertDeadLetter(connection, row, why)
    const inserted = { committed: 0, deadLettered: isNew ? 1 : 0, replayed: 0 }
    yield* advanceSource(connection, row.source, row.seq, inserted, [])
  }).pipe((body) => connection.transaction(body, { begun: true }))

/**
 * Writes on one session, which stays open. Work that no event waits for has short sessions of its own; so have `locate` and
 * the sign-off once writing was abandoned.
 */
export const make = Effect.fnUntraced(function* (options: PostgresAuditStoreOptions) {
  const deadline = Duration.decode(options.deadline ?? "10 seconds")
  const statementTimeout = timeoutWithin(deadline)
  const connectOptions = {
    url: options.url,
    applicationName: "gravitas audit",
    deadline,
    connectTimeout: options.connectTimeout ?? "5 seconds"
  }
  const verifyTrail = makeTrailCheck(options.trail, connectOptions.connectTimeout)
  const writing = yield* OwnedSession.make(connectOptions, verifyTrail)

  /** Runs work on a session of its own. An interrupted caller does not wait for the server's reply. */
  const apart = <A>(
    work: (
      connection: Connection,
      found: { readonly trail: string; readonly place: TrailPlace }
    ) => Effect.Effect<A, DatabaseError>
  ) =>
    connect({ ...connectOptions, applicationName: "gravitas audit upkeep" }).pipe(
      Effect.flatMap((connection) => Effect.flatMap(verifyTrail(connection), (found) => work(connection, found))),
      Effect.scoped,
      Effect.disconnect
    )
  const statements = (connection: Connection) => incarnationStatements(connection, statementTimeout)

  return AuditStore.of({
    trail: apart((_, { trail }) => Effect.succeed(trail)),
    place: apart((_, { place }) => Effect.succeed(place)),
    register: (incarnation) => apart((connection) => statements(connection).register(incarnation)),
    heartbeat: (incarnation) => apart((connection) => statements(connection).register(incarnation)),
    append: (rows, { certain }) =>
      writing.use((connection) => appendRows(connection, rows, { certain, statementTimeout })),
    deadLetter: (row, why) => writing.use((connection) => writeDeadLetter(connection, row, why, statementTimeout)),
    makePartition: (id) =>
      Effect.map(
        writing.use((connection) => connection.query("select gatekeeper.audit_make_partition($1) as made", [id])),
        (made) => made.rows[0]?.["made"] === true
      ),
    makePartitionsAhead: apart((connection) => connection.query("select gatekeeper.audit_make_partitions_ahead()")),
    signOff: (incarnation, end) =>
      Effect.suspend(() => {
        const work = (connection: Connection) => statements(connection).signOff(incarnation, end)
        return writing.isRetired() ? apart(work) : writing.use(work)
      }),
    closeUnknown: (source, after, counts) =>
      apart((connection) => statements(connection).closeUnknown(source, after, counts)),
    recordLoss: (source, found) => apart((connection) => statements(connection).recordLoss(source, found)),
    abandon: writing.retire,
    locate: (incarnation, ids) => apart((connection) => statements(connection).locate(incarnation, ids))
  })
})

export const layerUrl = (options: PostgresAuditStoreOptions): Layer.Layer<AuditStore> =>
  Layer.scoped(AuditStore, make(options))

/** Writes to the gatekeeper's database, with the role of the application. */
export const layer: Layer.Layer<AuditStore, never, Database> = Layer.unwrapEffect(
  Effect.map(Database, (database) => layerUrl({ url: database.url("gatekeeper", "application") }))
)
