import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { inOneTransaction, type StepContext } from "../../../src/migrator/apply/StepContext.ts"
import type { Step } from "../../../src/migrator/plan/Plan.ts"
import type { Row } from "../../../src/platform/postgres/Connection.ts"
import { ask, eventsOf, migrateRouter, migrationsOf, revision, tablesOf } from "../../support/migrator/Fixture.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

it.effect("the downgrade of a data revision is not searched for losses, which only its module knows", () =>
  Effect.gen(function* () {
    const done: Array<string> = []
    const record = (what: string) => Effect.sync(() => void done.push(what))
    const context = {
      service: "router",
      options: { allowDataLoss: false, lockTimeout: "2 seconds" },
      lock: {
        transaction: (work: (first: Row) => Effect.Effect<void>, begin: object) =>
          Effect.zipRight(record(`begin ${Object.keys(begin)}`), work({ now: "now" })),
        sendAftermath: Effect.as(
          record("ask"),
          Effect.as(record("answer"), { requireHeld: record("held"), explain: (cause: unknown) => cause })
        )
      },
      session: {
        connection: {
          send: (queries: ReadonlyArray<{ readonly text: string }>) =>
            Effect.as(record(queries.map(({ text }) => text.slice(0, 11)).join()), record("recorded"))
        }
      }
    } as unknown as StepContext
    const step = {
      _tag: "Revert",
      entry: { revision: 2, slug: "mark", kind: "ts" },
      down: { transaction: true, lockTimeout: Option.none(), statementTimeout: Option.none(), text: "up" }
    } as unknown as Step
    yield* inOneTransaction(context, step, 1, Effect.as(record("work"), record("end of work")))
    expect(done).toEqual([
      "begin before,columns",
      "work",
      "ask",
      "delete from,insert into",
      "end of work",
      "answer",
      "held",
      "recorded"
    ])
  })
)

describe("a revision whose statements are sent together", () => {
  const failing = (up: string) =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": revision(up) })
      const failure = yield* Effect.flip(migrateRouter(url, migrations))
      expect(yield* tablesOf(url, "router")).toEqual([])
      expect(yield* ask(url, "select from router.schema_history")).toEqual([])
      expect(yield* eventsOf(url)).toEqual(["prepared", "failed a"])
      return failure
    })

  it.scopedLive("fails at its first statement that fails, although those behind it fail too", () =>
    Effect.gen(function* () {
      const failure = yield* failing(
        "create table router.a (id int check (id > 0));\ninsert into router.a values (1), (0);\nselect 1 / 0;\nselect x;"
      )
      expect(failure).toMatchObject({
        _tag: "RevisionFailed",
        cause: { sqlstate: "23514", phase: "statement" },
        location: { line: 3, statement: "insert into router.a values (1), (0)" }
      })
    })
  )

  it.scopedLive("has the column of an error in its own statement", () =>
    Effect.gen(function* () {
      const failure = yield* failing("create table router.a ();\nselect 1,\n  missing;")
      expect(failure).toMatchObject({ cause: { sqlstate: "42703" }, location: { line: 4, column: 3 } })
    })
  )

  it.scopedLive(
    "fails at COPY from stdin, which no revision can feed, and the statements around it answer for themselves",
    () =>
      Effect.gen(function* () {
        const failure = yield* failing("create table router.a (id int);\ncopy router.a from stdin;\nselect 1;")
        expect(failure).toMatchObject({ location: { line: 3, statement: "copy router.a from stdin" } })
      })
  )

  it.scopedLive("says that the migrator's own record failed, if that is what failed", () =>
    Effect.gen(function* () {
      const failure = yield* failing(
        "create function router.no() returns trigger language plpgsql as $$ begin raise exception 'no row today'; end $$;\n" +
          "do $$ begin execute 'create trigger refuses before insert on router.schema_' || 'history for each row " +
          "execute function router.no()'; end $$;"
      )
      expect(failure.message).toContain("no row today")
      expect(failure).toMatchObject({
        location: { line: 1, statement: "(the migrator's own record of this revision)" }
      })
    })
  )
})
