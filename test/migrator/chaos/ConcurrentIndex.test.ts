import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Redacted from "effect/Redacted"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { eventually } from "../../support/Eventually.ts"
import { ask, migrateRouter, migrationsOf, revision, tableA, write } from "../../support/migrator/Fixture.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const sessions = (url: Redacted.Redacted, condition: string) =>
  ask(
    url,
    `select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
     and application_name like 'gravitas migrate router %' and ${condition}`
  )

const until = (url: Redacted.Redacted, condition: string, count: number) =>
  eventually(sessions(url, condition), (rows) => rows.length === count)

describe("create index concurrently under the lock", () => {
  it.scopedLive("completes although it waits for a writer while other starters wait for the lock", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
      yield* migrateRouter(url, migrations)
      const index = revision(
        "create index concurrently a_id on router.a (id);",
        "drop index concurrently router.a_id;",
        " transaction:false"
      ).replace("migrate:down", "migrate:down transaction:false")
      yield* write(migrations, { "router/0002_index.sql": index })

      const writer = yield* connect({ url, applicationName: "a writer" })
      yield* writer.query("begin; insert into router.a values (1)")
      const building = "query like 'create index concurrently%' and state = 'active' and wait_event_type = 'Lock'"
      const first = yield* Effect.fork(migrateRouter(url, migrations))
      yield* until(url, building, 1)
      const others = yield* Effect.forEach([2, 3], () => Effect.fork(migrateRouter(url, migrations)))
      yield* until(url, "true", 3)
      // Each has tried to take the lock by now. Waiting in the server would hold a snapshot, for which the index would wait.
      yield* Effect.sleep("300 millis")
      expect(yield* sessions(url, building)).toHaveLength(1)
      expect(yield* sessions(url, "wait_event = 'advisory'")).toEqual([])
      yield* ask(url, "insert into router.a select generate_series(2, 1000)")
      yield* writer.query("commit")

      const outcomes = yield* Fiber.joinAll([first, ...others])
      expect(outcomes.map(({ steps, to }) => [steps.length, to])).toEqual([
        [1, "0002_index"],
        [0, "0002_index"],
        [0, "0002_index"]
      ])
      expect(
        yield* ask(url, "select indisvalid as valid from pg_index where indexrelid = 'router.a_id'::regclass")
      ).toEqual([{ valid: true }])
      expect(yield* ask(url, "select count(*)::int as rows from router.a")).toEqual([{ rows: 1_000 }])
    })
  )
})
