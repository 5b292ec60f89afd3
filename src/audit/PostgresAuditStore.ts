import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { type Connection, connect } from "../platform/Connection.ts"
import { Database } from "../platform/Database.ts"
import type { DatabaseError } from "../platform/DatabaseError.ts"
import { incarnationStatements } from "./AuditIncarnation.ts"
import { AuditStore } from "./AuditStore.ts"
import { write } from "./AuditWrites.ts"
import * as OwnedSession from "./OwnedSession.ts"

export interface PostgresAuditStoreOptions {
  readonly url: Redacted.Redacted
  /** Of one statement; a server that stays silent longer counts as away. */
  readonly deadline?: Duration.DurationInput
  readonly connectTimeout?: Duration.DurationInput
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
  const writing = yield* OwnedSession.make(connectOptions)

  const asWriter = <A>(work: (writes: ReturnType<typeof write>) => Effect.Effect<A, DatabaseError>) =>
    writing.use((connection) => work(write(connection, statementTimeout)))
  /** Who is interrupted does not wait for the server's word on it. */
  const apart = <A>(work: (connection: Connection) => Effect.Effect<A, DatabaseError>) =>
    Effect.disconnect(
      Effect.scoped(Effect.flatMap(connect({ ...connectOptions, applicationName: "gravitas audit upkeep" }), work))
    )
  const statements = (connection: Connection) => incarnationStatements(connection, statementTimeout)

  return AuditStore.of({
    register: (incarnation) => apart((connection) => statements(connection).register(incarnation)),
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
