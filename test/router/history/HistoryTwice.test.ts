import * as Reactivity from "@effect/experimental/Reactivity"
import * as PgClient from "@effect/sql-pg/PgClient"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { History } from "../../../src/router/history/History.ts"
import { HistoryWriter, standardOptions } from "../../../src/router/history/HistoryWriter.ts"
import { routerUp } from "../../support/RouterSchema.ts"
import { row } from "../../support/router/HistoryRow.ts"
import { testPostgres } from "../../support/TestPostgres.ts"

describe("a message that is sent again", () => {
  it.scopedLive(
    "a batch is written once, where the database only stalled",
    () =>
      Effect.gen(function* () {
        const server = yield* testPostgres()
        yield* routerUp(server.url)
        const sql = yield* PgClient.make({ url: server.url, maxConnections: 3 }).pipe(Effect.provide(Reactivity.layer))
        let attempts = 0
        const counted = Layer.map(History.layerClient({ sql, readers: sql, deadline: "500 millis" }), (context) => {
          const history = Context.get(context, History)
          const append: typeof history.append = (rows) =>
            Effect.suspend(() => {
              attempts += 1
              return history.append(rows)
            })
          return Context.make(History, { ...history, append })
        })
        const writer = HistoryWriter.layer({ ...standardOptions, attempts: 60, endWithin: "30 seconds" }).pipe(
          Layer.provide(counted)
        )
        const { write } = Context.get(yield* Layer.build(writer), HistoryWriter)
        const written = sql`select request_id from router.history order by id`.pipe(Effect.map((rows) => rows.length))
        yield* write([row("before")])
        yield* Effect.repeat(written, { until: (count) => count === 1 })
        yield* server.pause
        yield* write([row("meanwhile"), row("meanwhile")])
        // The third begins once two have reached their deadline: both wait for the server.
        yield* Effect.repeat(
          Effect.delay(
            Effect.sync(() => attempts),
            "20 millis"
          ),
          { until: (count) => count >= 4 }
        )
        yield* server.resume
        yield* Effect.repeat(Effect.delay(written, "50 millis"), { until: (count) => count >= 3 })
        const others = sql`
          select pid from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'`
        yield* Effect.repeat(Effect.delay(others, "50 millis"), { until: (sessions) => sessions.length === 0 })
        expect(yield* sql`select request_id from router.history order by id`).toEqual([
          { request_id: "before" },
          { request_id: "meanwhile" },
          { request_id: "meanwhile" }
        ])
      }).pipe(Effect.timeout("80 seconds")),
    90_000
  )
})
