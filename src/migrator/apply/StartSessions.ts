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

/** What a look needs of a session. */
export type Queryable = Pick<Connection, "query">

/** Several fibers may ask it: the driver takes one query at a time. */
const oneByOne = (connection: Connection): Effect.Effect<Queryable> =>
  Effect.map(Effect.makeSemaphore(1), (turn) => ({
    query: (...args) => turn.withPermits(1)(connection.query(...args))
  }))

const overPool = (pool: PgClient.PgClient): Queryable => ({
  query: (text, values) =>
    pool.unsafe<Row>(text, values).withoutTransform.pipe(
      Effect.map((rows) => ({ rows, rowCount: rows.length })),
      Effect.mapError((error) => databaseError("statement", error))
    )
})

/**
 * Through what a start looks at a schema without the lock. Opening a session costs more than everything that a start at
 * head asks: so it is the application's own pool where the migration connection is the same, else one session for all services of
 * a connection string, closed when none has needed it for a second.
 */
export class InspectionSessions extends Context.Tag("migrator/StartSessions")<
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
