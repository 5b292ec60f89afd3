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
        const writer = HistoryWriter.layer({ ...standardOptions, endWithin: "30 seconds" }).pipe(
          Layer.provide(History.layerClient({ sql, deadline: "2 seconds" }))
        )
        const { write } = Context.get(yield* Layer.build(writer), HistoryWriter)
        const written = sql`select request_id from router.history order by id`.pipe(Effect.map((rows) => rows.length))
        yield* write([row("before")])
        yield* Effect.repeat(written, { until: (count) => count === 1 })
        yield* server.pause
        yield* write([row("meanwhile"), row("meanwhile")])
        // Two attempts wait at its door by then.
        yield* Effect.sleep("5 seconds")
        yield* server.resume
        yield* Effect.repeat(Effect.delay(written, "50 millis"), { until: (count) => count >= 3 })
        yield* Effect.sleep("3 seconds")
        expect(yield* sql`select request_id from router.history order by id`).toEqual([
          { request_id: "before" },
          { request_id: "meanwhile" },
          { request_id: "meanwhile" }
        ])
      }).pipe(Effect.timeout("80 seconds")),
    90_000
  )
})
