import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RcMap from "effect/RcMap"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { ServiceName } from "../../domain/Service.ts"
import { Settings } from "../../platform/config/Settings.ts"
import { type Connection, connect, type Row } from "../../platform/postgres/Connection.ts"
import { Database, type DatabaseUnreachable, waitUntilReachable } from "../../platform/postgres/Database.ts"
import { type DatabaseError, databaseError } from "../../platform/postgres/DatabaseError.ts"

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
