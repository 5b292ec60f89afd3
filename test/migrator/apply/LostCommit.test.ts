import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import {
  eventsOf,
  migrateRouter,
  migrationsOf,
  revision,
  tableA,
  tablesOf,
  write
} from "../../support/migrator/Fixture.ts"
import { tcpProxy } from "../../support/TcpProxy.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

describe("a COMMIT whose reply is lost", () => {
  for (const [fault, tables, steps] of [
    ["loseAnswerTo", ["a", "b"], 0],
    ["cutBefore", ["a"], 1]
  ] as const) {
    it.scopedLive(
      `counts as unknown, and the next run finds it ${steps === 0 ? "applied" : "not applied"} (${fault})`,
      () =>
        Effect.gen(function* () {
          const url = yield* freshDatabase
          const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
          yield* migrateRouter(url, migrations)
          yield* write(migrations, { "router/0002_b.sql": revision("create table router.b ();") })
          const proxy = yield* tcpProxy(url)
          yield* Effect.fork(proxy[fault]("commit"))
          yield* Effect.yieldNow()
          const failure = yield* Effect.flip(migrateRouter(proxy.url, migrations))
          expect(failure).toMatchObject({ _tag: "RevisionFailed", exitCode: 1, location: { statement: "commit" } })
          expect(failure.message).toContain("The connection broke at COMMIT, so only schema_history shows")
          expect(failure.message).not.toContain("rolled back")
          expect(yield* tablesOf(url, "router")).toEqual(tables)
          const next = yield* migrateRouter(url, migrations)
          expect(next).toMatchObject({ to: "0002_b" })
          expect(next.steps).toHaveLength(steps)
          expect((yield* eventsOf(url)).filter((event) => event === "applied b")).toHaveLength(1)
        })
    )
  }
})
