import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RcMap from "effect/RcMap"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { ServiceName } from "../../domain/Service.ts"
import type { Connection, Row } from "../../platform/postgres/Connection.ts"
import { Database, type DatabaseUnreachable, displayAddress } from "../../platform/postgres/Database.ts"
import { type DatabaseError, databaseError } from "../../platform/postgres/DatabaseError.ts"
import { headOf, loadRevisionSet, type MigratedService } from "../files/RevisionSet.ts"
import { historyQuery, makeMigrationHistory, snapshotOf } from "../history/MigrationHistory.ts"
import { MigratorOptions, toolVersion } from "../MigratorOptions.ts"
import { nameOf } from "../plan/HistoryMismatch.ts"
import * as Plan from "../plan/Plan.ts"
import { Target } from "../plan/Target.ts"
import { schemaUnreadable } from "../SchemaVersion.ts"
import { knownEntries } from "./SchemaLock.ts"
import { connectPatiently, DatabaseIsReplica, databaseRefusal } from "./Session.ts"

/** A session or a pool, as far as an inspection needs it. */
export type Queryable = Pick<Connection, "query">

type Rows = ReadonlyArray<Row>

const replica = "pg_catalog.pg_is_in_recovery() as replica"

/** What a start asks of several services, in one query: their histories, and what else it compares with its files. */
const startQuery = (services: ReadonlyArray<ServiceName>): string => {
  const histories = services.map((service) =>
    historyQuery(
      service,
      `, '${service}' as service, ${replica}, (select name from ${service}.schema_version) as shown`
    )
  )
  return `${histories.join(" union all ")} order by revision`
}

/** Asks `startQuery`. A service whose relations cannot be read together has no rows, and does not keep them from the others. */
const rowsOf = (
  connection: Queryable,
  services: ReadonlyArray<ServiceName>
): Effect.Effect<Readonly<Record<string, Rows>>, DatabaseError> =>
  connection.query(startQuery(services)).pipe(
    Effect.map(({ rows }): Readonly<Record<string, Rows>> => Arr.groupBy(rows, ({ service }) => String(service))),
    Effect.catchIf(
      ({ sqlstate }) => sqlstate !== undefined,
      () =>
        services.length === 1
          ? Effect.succeed({})
          : Effect.map(
              Effect.forEach(services, (service) => rowsOf(connection, [service])),
              (each): Readonly<Record<string, Rows>> => Object.assign({}, ...each)
            )
    )
  )

/** After what the fibers of this turn of the event loop do: the services that start at the same time have asked then. */
const endOfTurn = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))

/** How starts ask over one session or pool. */
interface StartSession extends Queryable {
  /** The rows of `startQuery` for a service; undefined if its relations cannot be read together. */
  readonly startRows: (service: ServiceName) => Effect.Effect<Rows | undefined, DatabaseError>
}

/**
 * Queues the queries of several fibers: a session accepts one at a time, and a pool would open another for each. Services that start
 * at the same time share one `startQuery`.
 */
const oneByOne = (connection: Queryable): Effect.Effect<StartSession> =>
  Effect.map(Effect.makeSemaphore(1), (permit) => {
    type Answer = Deferred.Deferred<Rows | undefined, DatabaseError>
    let waiting = new Map<ServiceName, Answer>()
    const askWaiting = Effect.suspend(() => {
      const asked = waiting
      waiting = new Map()
      if (asked.size === 0) return Effect.void
      return rowsOf(connection, [...asked.keys()]).pipe(
        Effect.onExit((exit) =>
          Effect.forEach(asked, ([service, answer]) =>
            Deferred.done(
              answer,
              Exit.map(exit, (all) => all[service])
            )
          )
        ),
        Effect.ignore
      )
    })
    return {
      query: (...args) => permit.withPermits(1)(connection.query(...args)),
      startRows: (service) =>
        Effect.gen(function* () {
          const answer = waiting.get(service) ?? (yield* Deferred.make<Rows | undefined, DatabaseError>())
          waiting.set(service, answer)
          yield* endOfTurn
          yield* permit.withPermits(1)(askWaiting)
          return yield* Deferred.await(answer)
        })
    }
  })

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
    readonly of: (service: ServiceName) => Effect.Effect<StartSession, DatabaseUnreachable | DatabaseError, Scope.Scope>
  }
>() {
  static readonly layer = Layer.scoped(
    InspectionSessions,
    Effect.gen(function* () {
      const database = yield* Database
      const sessions = yield* RcMap.make({
        lookup: (key: string) =>
          Effect.flatMap(connectPatiently({ url: Redacted.make(key), applicationName: "gravitas start" }), oneByOne),
        idleTimeToLive: "1 second"
      })
      const pools = yield* RcMap.make({ lookup: (pool: PgClient.PgClient) => oneByOne(overPool(pool)) })
      return {
        of: (service) => {
          const key = Redacted.value(database.url(service, "migration"))
          return key === Redacted.value(database.url(service, "application"))
            ? RcMap.get(pools, database.pool(service))
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
      : databaseRefusal(name, address, "reading the migration history")(cause)
  const readHistory = Effect.gen(function* () {
    const connection = yield* sessions.of(name)
    const history = makeMigrationHistory(name, connection, options)
    const asked = yield* connection.startRows(name)
    const together = asked === undefined ? Option.none() : Option.some(yield* snapshotOf(asked))
    // Otherwise one by one, so that an error is that of one relation.
    const rows =
      asked ??
      (yield* connection.query(`select ${replica}, pg_catalog.to_regclass('${name}.schema_history') is null as absent`))
        .rows
    if (rows[0]?.["replica"] === true) return yield* new DatabaseIsReplica({ service: name, address })
    const isRead = Option.isSome(together) || rows[0]?.["absent"] === true
    const snapshot = isRead ? together : yield* history.read
    return { connection, snapshot, shown: rows[0]?.["shown"] }
  }).pipe(Effect.mapError((error) => (error._tag === "DatabaseError" ? refused(error) : error)))

  // In this order: the server works while the files are read.
  const [{ connection, shown, snapshot }, set] = yield* Effect.all([readHistory, loadRevisionSet(service)], {
    concurrency: 2
  })
  const entries = yield* knownEntries(name, snapshot)
  const plan = Plan.make(set, entries, Target.Head())
  const upToDate = Option.exists(snapshot, ({ format }) => format === toolVersion)
  return {
    set,
    snapshot,
    connection,
    /** The revision that `schema_version` shows over `connection`; undefined if it was not read. */
    shown,
    /** Of the migration connection, without password. */
    address,
    current: Plan.currentOf(entries).name,
    head: headOf(set).name,
    /** What an upgrade to head would do, or why it would be refused. */
    plan,
    /** Applied revisions that this program does not know. */
    ahead: Either.isRight(plan) ? plan.right.ahead.map(nameOf) : [],
    /** No revision is pending, and the history tables have this program's format. */
    atHead: upToDate && Either.isRight(plan) && plan.right.steps.length === 0
  }
})

/** A service's files beside its history, as a start reads both, once and without the lock. */
export type SchemaInspection = Effect.Effect.Success<ReturnType<typeof inspectSchema>>
