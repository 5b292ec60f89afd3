import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RcMap from "effect/RcMap"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { ServiceName } from "../../domain/Service.ts"
import { Settings } from "../../platform/config/Settings.ts"
import { type Connection, connect, type Row } from "../../platform/postgres/Connection.ts"
import {
  Database,
  type DatabaseUnreachable,
  displayAddress,
  waitUntilReachable
} from "../../platform/postgres/Database.ts"
import { type DatabaseError, databaseError } from "../../platform/postgres/DatabaseError.ts"
import { revisionName } from "../files/Revision.ts"
import { headOf, loadRevisionSet, type MigratedService } from "../files/RevisionSet.ts"
import { makeMigrationHistory } from "../history/MigrationHistory.ts"
import { MigratorOptions, toolVersion } from "../MigratorOptions.ts"
import * as Plan from "../plan/Plan.ts"
import { Target } from "../plan/Target.ts"
import { schemaUnreadable } from "../SchemaVersion.ts"
import { knownEntries } from "./SchemaLock.ts"
import { DatabaseIsReplica, DatabaseRefusal } from "./Session.ts"

/** A session or a pool, as far as an inspection needs it. */
export type Queryable = Pick<Connection, "query">

/** Queues the queries of several fibers, since the driver accepts one at a time. */
const oneByOne = (connection: Connection): Effect.Effect<Queryable> =>
  Effect.map(Effect.makeSemaphore(1), (permit) => ({
    query: (...args) => permit.withPermits(1)(connection.query(...args))
  }))

const overPool = (pool: PgClient.PgClient): Queryable => ({
  query: (text, values) =>
    pool.unsafe<Row>(text, values).pipe(
      Effect.map((rows) => ({ rows, rowCount: rows.length })),
      Effect.mapError((error) => databaseError("statement", error))
    )
})

/**
 * The sessions through which starts inspect their schemas.
 *
 * Opening a session costs more than every query of a start at head. So where the migration connection is the application's, its
 * pool is used. Otherwise all services with the same connection string share one session, closed after one idle second.
 */
export class InspectionSessions extends Context.Tag("migrator/apply/InspectionSessions")<
  InspectionSessions,
  {
    readonly of: (service: ServiceName) => Effect.Effect<Queryable, DatabaseUnreachable | DatabaseError, Scope.Scope>
  }
>() {
  static readonly layer = Layer.scoped(
    InspectionSessions,
    Effect.gen(function* () {
      const database = yield* Database
      const { databaseConnectDeadline } = yield* Settings
      const sessions = yield* RcMap.make({
        lookup: (key: string) => {
          const url = Redacted.make(key)
          const open = connect({ url, applicationName: "gravitas start" })
          return Effect.catchAll(open, () =>
            Effect.zipRight(waitUntilReachable(url, databaseConnectDeadline), open)
          ).pipe(Effect.flatMap(oneByOne))
        },
        idleTimeToLive: "1 second"
      })
      return {
        of: (service) => {
          const key = Redacted.value(database.url(service, "migration"))
          return key === Redacted.value(database.url(service, "application"))
            ? Effect.succeed(overPool(database.pool(service)))
            : RcMap.get(sessions, key)
        }
      }
    })
  )
}

/** Reads files and history at the same time and compares every checksum. Takes no lock and changes nothing. */
export const inspectSchema = Effect.fn("Migrator.look")(function* (service: MigratedService) {
  const { name } = service
  const url = (yield* Database).url(name, "migration")
  const address = displayAddress(url)
  const options = yield* MigratorOptions
  const sessions = yield* InspectionSessions

  const refused = (cause: DatabaseError) =>
    cause.sqlstate === "42501"
      ? schemaUnreadable(name, url, "schema_history", cause)
      : new DatabaseRefusal({
          service: name,
          address,
          during: "reading the migration history",
          cause,
          remedy: `Check PostgreSQL there, then: pnpm migrate --service ${name} status`
        })
  const readHistory = Effect.gen(function* () {
    const connection = yield* sessions.of(name)
    const { rows } = yield* connection.query("select pg_catalog.pg_is_in_recovery() as replica")
    if (rows[0]?.["replica"] === true) return yield* new DatabaseIsReplica({ service: name, address })
    return { connection, snapshot: yield* makeMigrationHistory(name, connection, options).read }
  }).pipe(Effect.mapError((error) => (error._tag === "DatabaseError" ? refused(error) : error)))

  const [set, { connection, snapshot }] = yield* Effect.all([loadRevisionSet(service), readHistory], { concurrency: 2 })
  const entries = yield* knownEntries(name, snapshot)
  const plan = Plan.make(set, entries, Target.Head())
  const upToDate = Option.exists(snapshot, ({ format }) => format === toolVersion)
  return {
    set,
    snapshot,
    connection,
    /** Of the migration connection, without password. */
    address,
    current: Plan.currentOf(entries).name,
    head: headOf(set).name,
    /** What an upgrade to head would do, or why it would be refused. */
    plan,
    /** Applied revisions that this program does not know. */
    ahead: Either.match(plan, {
      onLeft: () => [],
      onRight: ({ ahead }) => ahead.map((entry) => revisionName(entry.revision, entry.slug))
    }),
    /** No revision is pending, and the history tables have this program's format. */
    atHead: upToDate && Either.isRight(plan) && plan.right.steps.length === 0
  }
})

/** A service's files beside its history, as a start reads both, once and without the lock. */
export type SchemaInspection = Effect.Effect.Success<ReturnType<typeof inspectSchema>>
