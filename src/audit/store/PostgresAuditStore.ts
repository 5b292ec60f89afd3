import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { type Connection, connect } from "../../platform/postgres/Connection.ts"
import { Database } from "../../platform/postgres/Database.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { incarnationStatements } from "./AuditIncarnation.ts"
import { AuditStore } from "./AuditStore.ts"
import { write } from "./AuditWrites.ts"
import * as OwnedSession from "./OwnedSession.ts"

export interface PostgresAuditStoreOptions {
  readonly url: Redacted.Redacted
  /** Of one statement; a server that stays silent longer counts as away. */
  readonly deadline?: Duration.DurationInput
  readonly connectTimeout?: Duration.DurationInput
  /** The id of the trail that the events belong to; by default that of the database which the first session finds. */
  readonly trail?: string
}

/** Of the set-up class: the drain pauses and says so, and nothing is written into a trail that it does not belong to. */
const otherTrail = (found: string | undefined, belongs: string) =>
  new DatabaseError({
    phase: "connect",
    sqlstate: "3D000",
    reason: `this database holds ${found === undefined ? "no audit trail" : `the audit trail ${found}`}; these events belong to ${belongs}`,
    hint: "Point the gatekeeper at the database of that trail again, or start the process anew to begin with this one."
  })

/**
 * Asks which trail a new session has reached. A database may be restored, or another take its address, while a process lives:
 * its events belong to the trail that it began with.
 */
const makeGreeting = (given: string | undefined, deadline: Duration.DurationInput) => {
  let belongs = given
  return Effect.fnUntraced(function* (connection: Connection) {
    const answer = yield* connection
      .query("select id from gatekeeper.audit_trail", undefined, { deadline })
      .pipe(Effect.mapError((error) => new DatabaseError({ ...error, phase: "connect" })))
    const found = answer.rows[0]?.["id"]
    const trail = typeof found === "string" ? found : undefined
    belongs ??= trail
    if (trail === undefined || trail !== belongs) return yield* otherTrail(trail, belongs ?? "one")
    return trail
  })
}

/**
 * Writes on one session, kept open. What no event waits for has short sessions of its own; when writing was abandoned, so have
 * the last questions and the sign-off.
 */
export const make = Effect.fnUntraced(function* (options: PostgresAuditStoreOptions) {
  const deadline = Duration.decode(options.deadline ?? "10 seconds")
  const statementTimeout = Math.max(1, Math.floor(Duration.toMillis(deadline) * 0.9))
  const connectOptions = {
    url: options.url,
    applicationName: "gravitas audit",
    deadline,
    connectTimeout: options.connectTimeout ?? "5 seconds"
  }
  const greet = makeGreeting(options.trail, connectOptions.connectTimeout)
  const writing = yield* OwnedSession.make(connectOptions, greet)

  const asWriter = <A>(work: (writes: ReturnType<typeof write>) => Effect.Effect<A, DatabaseError>) =>
    writing.use((connection) => work(write(connection, statementTimeout)))
  /** Who is interrupted does not wait for the server's word on it. */
  const apart = <A>(work: (connection: Connection, trail: string) => Effect.Effect<A, DatabaseError>) =>
    connect({ ...connectOptions, applicationName: "gravitas audit upkeep" }).pipe(
      Effect.flatMap((connection) => Effect.flatMap(greet(connection), (trail) => work(connection, trail))),
      Effect.scoped,
      Effect.disconnect
    )
  const statements = (connection: Connection) => incarnationStatements(connection, statementTimeout)

  return AuditStore.of({
    trail: apart((_, trail) => Effect.succeed(trail)),
    register: (incarnation) => apart((connection) => statements(connection).register(incarnation)),
    heartbeat: (incarnation) => apart((connection) => statements(connection).register(incarnation)),
    append: (rows, { certain }) => asWriter((writes) => writes.append(rows, certain)),
    deadLetter: (row, why) => asWriter((writes) => writes.deadLetter(row, why)),
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

/** Into the gatekeeper's database, as the application. */
export const layer: Layer.Layer<AuditStore, never, Database> = Layer.unwrapEffect(
  Effect.map(Database, (database) => layerUrl({ url: database.url("gatekeeper", "application") }))
)
