import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { inOneTransaction, type StepContext } from "../../../src/migrator/apply/StepContext.ts"
import type { Step } from "../../../src/migrator/plan/Plan.ts"
import { countingRelay } from "../../support/migrator/CountingRelay.ts"
import {
  ask,
  eventsOf,
  migrateRouter,
  migrationsOf,
  revision,
  tablesOf,
  write
} from "../../support/migrator/Fixture.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

it.effect("the downgrade of a data revision is not searched for losses, which only its module knows", () =>
  Effect.gen(function* () {
    const done: Array<string> = []
    const record = (what: string) => Effect.sync(() => void done.push(what))
    const context = {
      service: "router",
      options: { allowDataLoss: false, lockTimeout: "2 seconds" },
      lock: {
        begin: (begin: object) => ({ queries: [{ text: `begin ${Object.keys(begin)}` }] }),
        record: (queries: ReadonlyArray<{ readonly text: string }>) => ({ queries })
      },
      session: {
        connection: {
          transaction: (body: Effect.Effect<void>) => body,
          send: (queries: ReadonlyArray<{ readonly text: string }>) =>
            Effect.as(record(queries.map(({ text }) => text.slice(0, 13)).join()), [])
        }
      }
    } as unknown as StepContext
    const step = {
      _tag: "Revert",
      entry: { revision: 2, slug: "mark", kind: "ts" },
      down: { transaction: true, lockTimeout: Option.none(), statementTimeout: Option.none(), text: "up" }
    } as unknown as Step
    yield* inOneTransaction(context, step, 1, ({ send }) => Effect.zipRight(send, record("work")))
    expect(done).toEqual(["begin columns", "work", "delete from r,insert into r"])
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

  it.scopedLive("has the line within a block, and the functions that were running", () =>
    Effect.gen(function* () {
      const block = yield* failing(
        "select 1; do $b$\n-- é\nbegin\n  perform 1;\n  update router.t set a = 1;\nend $b$;"
      )
      expect(block).toMatchObject({
        cause: { sqlstate: "42P01", reason: 'relation "router.t" does not exist' },
        location: { line: 6, source: "  update router.t set a = 1;" }
      })
      expect(block.message).toContain("  context: PL/pgSQL function inline_code_block line 5 at SQL statement\n")
      const misspelt = yield* failing("select 1;\ndo $$ begin\n  perform 1;\n  updat router.t;\nend $$;")
      expect(misspelt).toMatchObject({ location: { line: 5 }, cause: { reason: 'syntax error at or near "updat"' } })
      const called = yield* failing(
        "create table router.a (id int);\ncreate function router.refuse() returns trigger language plpgsql as $$\n" +
          "begin\n  raise exception 'no % today', new.id;\nend $$;\n" +
          "create trigger refuse before insert on router.a for each row execute function router.refuse();\n" +
          "create procedure router.p(n int) language plpgsql as 'begin\n\n  insert into router.a values (n); end';\n" +
          "do $$ begin\n  call router.p(4711); end $$;"
      )
      expect(called).toMatchObject({ location: { line: 12 }, cause: { reason: "no 4711 today" } })
      if (called._tag !== "RevisionFailed") return expect.unreachable()
      const file = called.location.file
      expect(called.cause.context?.split("\n")).toEqual([
        `PL/pgSQL function router.refuse() line 3 at RAISE (${file}:5)`,
        `PL/pgSQL function router.p(integer) line 3 at SQL statement (${file}:10)`,
        "PL/pgSQL function inline_code_block line 2 at CALL"
      ])
    })
  )

  it.scopedLive("takes two round trips: one to COMMIT, and one for all else", () =>
    Effect.gen(function* () {
      const relay = yield* countingRelay(yield* freshDatabase)
      const first = { "router/0001_a.sql": revision("create table router.a ();\ncreate table router.b ();") }
      const migrations = yield* migrationsOf(first)
      yield* migrateRouter(relay.url, migrations)
      const roundTrips = (files: Readonly<Record<string, string>>) =>
        Effect.gen(function* () {
          yield* write(migrations, files)
          relay.roundTrips()
          yield* migrateRouter(relay.url, migrations)
          return relay.roundTrips()
        })
      const more = (number: number) => ({
        [`router/000${number}_x.sql`]: revision(`create table router.x${number} ();\nselect 1;\nselect 2;`)
      })
      const one = yield* roundTrips(more(2))
      expect(yield* roundTrips({ ...more(3), ...more(4), ...more(5) })).toBe(one + 4)
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
