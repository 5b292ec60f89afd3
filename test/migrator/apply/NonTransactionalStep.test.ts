import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import type * as Redacted from "effect/Redacted"
import { firstChanged } from "../../../src/migrator/apply/NonTransactionalStep.ts"
import { Target } from "../../../src/migrator/plan/Target.ts"
import { Repair, repair } from "../../../src/migrator/recover/Repair.ts"
import {
  ask,
  eventsOf,
  migrateRouter,
  migrationsOf,
  revision,
  tableA,
  tablesOf,
  write
} from "../../support/migrator/Fixture.ts"
import { onRouter } from "../../support/migrator/OnRouter.ts"
import { router } from "../../support/migrator/Services.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const stepwise = (up: string, down = "select 1;") =>
  revision(up, down, " transaction:false").replace("migrate:down", "migrate:down transaction:false")
const half =
  "select state, steps_done, steps_total, steps_begun from router.schema_history order by revision desc limit 1"
const index = "select indisvalid from pg_index where indexrelid = to_regclass('router.a_id')"

/** Ends the migrator's session while it runs a statement like this, as a SIGKILL of its process does. */
const cutOff = (url: Redacted.Redacted, statement: string) =>
  ask(
    url,
    `select pg_terminate_backend(pid) as ended from pg_stat_activity where query like $1 and state = 'active'
     and pid <> pg_backend_pid() and datname = current_database()`,
    [`%${statement}%`]
  ).pipe(Effect.delay(Duration.millis(20)), Effect.repeat({ until: (rows) => rows.length > 0 }))

describe("a revision without a transaction", () => {
  it.scopedLive("that fails half-way keeps what is done, and continues with the corrected statement", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_half.sql": stepwise("create table router.half (id int);\nselect 1 / 0;")
      })
      const failure = yield* Effect.flip(migrateRouter(url, migrations))
      expect(failure).toMatchObject({ _tag: "RevisionFailed", exitCode: 1, location: { line: 3 } })
      expect(yield* tablesOf(url, "router")).toEqual(["half"])
      expect(yield* ask(url, half)).toEqual([{ state: "applying", steps_done: 1, steps_total: 2, steps_begun: 1 }])
      expect(yield* ask(url, "select name from router.schema_version")).toEqual([{ name: "base" }])

      yield* write(migrations, { "router/0001_half.sql": stepwise("create table router.other ();\nselect 1;") })
      const changed = yield* Effect.flip(migrateRouter(url, migrations))
      expect(changed).toMatchObject({ _tag: "PartlyApplied", exitCode: 7, stepsDone: 1, stepsTotal: 2 })
      expect(changed.message).toMatch(/statement 1 of .*0001_half\.sql differs from the one that ran/)
      expect(changed.message).toContain("pnpm migrate --service router repair")

      const corrected = stepwise("create table router.half (id int);\nselect 1 / 1;\nselect 2;")
      yield* write(migrations, { "router/0001_half.sql": corrected })
      expect((yield* migrateRouter(url, migrations)).to).toBe("0001_half")
      expect(yield* ask(url, half)).toEqual([{ state: "applied", steps_done: 3, steps_total: 3, steps_begun: 3 }])
      expect((yield* migrateRouter(url, migrations)).steps).toEqual([])
      expect(yield* eventsOf(url)).toEqual(["prepared", "failed half", "failed half", "applied half"])
    })
  )

  it.scopedLive("whose session is killed between two statements continues at the next, up and down", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const wait = "select pg_sleep(seconds) from router.gate"
      const migrations = yield* migrationsOf({
        "router/0001_gate.sql": revision(
          "create table router.gate as select 20 as seconds;",
          "drop table router.gate;"
        ),
        "router/0002_steps.sql": stepwise(
          `create table router.one (id int);\nset work_mem = '7MB';\n${wait};\ncreate table router.two as select current_setting('work_mem') as mem;`,
          `drop table router.two;\n${wait};\ndrop table router.one;`
        )
      })
      const lost = (target?: Target) =>
        Effect.gen(function* () {
          const running = yield* Effect.fork(
            Effect.flip(migrateRouter(url, migrations, target, { allowDataLoss: true }))
          )
          yield* cutOff(url, wait)
          return yield* Fiber.join(running)
        })
      expect(yield* lost()).toMatchObject({ _tag: "RevisionFailed", revision: "0002_steps" })
      expect(yield* ask(url, half)).toMatchObject([{ state: "applying", steps_done: 2, steps_total: 4 }])
      yield* ask(url, "update router.gate set seconds = 0")
      expect((yield* migrateRouter(url, migrations)).to).toBe("0002_steps")
      // The setting of the lost session is made again.
      expect(yield* ask(url, "select mem from router.two")).toEqual([{ mem: "7MB" }])

      yield* ask(url, "update router.gate set seconds = 20")
      const back = Target.Back({ count: 1 })
      expect(yield* lost(back)).toMatchObject({ _tag: "RevisionFailed" })
      expect(yield* ask(url, half)).toMatchObject([{ state: "reverting", steps_done: 1, steps_total: 3 }])
      expect(yield* Effect.flip(migrateRouter(url, migrations))).toMatchObject({ _tag: "PartlyApplied", exitCode: 7 })
      yield* ask(url, "update router.gate set seconds = 0")
      expect((yield* migrateRouter(url, migrations, back, { allowDataLoss: true })).to).toBe("0001_gate")
      expect(yield* tablesOf(url, "router")).toEqual(["gate"])
    })
  )

  const indexed = {
    "router/0001_a.sql": tableA,
    "router/0002_index.sql": stepwise(
      "create index concurrently a_id on router.a (id);\nselect 1;",
      "drop index concurrently router.a_id;\nselect 1;"
    )
  }
  /** As if the process had died before it could record the outcome of statement `begun`. */
  const forget = (url: Redacted.Redacted, state: "applying" | "reverting") =>
    ask(
      url,
      `update router.schema_history set state = $1, steps_done = 0, steps_begun = 1, step_checksums = '{}', steps_total = 2
       where revision = 2`,
      [state]
    )

  it.scopedLive("reads from the catalog how a concurrent index build ended that was not recorded", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf(indexed)
      yield* migrateRouter(url, migrations)
      // It was created and is not created again, which PostgreSQL would refuse.
      yield* forget(url, "applying")
      expect((yield* migrateRouter(url, migrations)).to).toBe("0002_index")
      yield* forget(url, "applying")
      expect(yield* repair(router, Repair.Retry()).pipe(onRouter(url, migrations))).toMatchObject({
        did: "continued",
        current: "0002_index"
      })
      // It was not created.
      yield* ask(url, "drop index router.a_id")
      yield* forget(url, "applying")
      yield* migrateRouter(url, migrations)
      expect(yield* ask(url, index)).toEqual([{ indisvalid: true }])
      // It was dropped, then it was not dropped.
      const back = Target.Back({ count: 1 })
      yield* ask(url, "drop index router.a_id")
      yield* forget(url, "reverting")
      expect((yield* migrateRouter(url, migrations, back)).to).toBe("0001_a")
      yield* migrateRouter(url, migrations)
      yield* forget(url, "reverting")
      yield* migrateRouter(url, migrations, back)
      expect(yield* ask(url, index)).toEqual([])
    })
  )

  it.scopedLive("does not repeat a statement whose outcome cannot be known", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const call = "create procedure router.twice() language sql as 'select 1';\ncall router.twice();"
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA, "router/0002_call.sql": stepwise(call) })
      yield* migrateRouter(url, migrations)
      yield* ask(
        url,
        `update router.schema_history set state = 'applying', steps_done = 1, steps_begun = 2,
           step_checksums = step_checksums[1:1] where revision = 2`
      )
      const refusal = yield* Effect.flip(migrateRouter(url, migrations))
      expect(refusal).toMatchObject({ _tag: "PartlyApplied", exitCode: 7, stepsDone: 1 })
      expect(refusal.message).toContain("the outcome of statement 2 was not recorded")
      expect(refusal.message).toContain("repair --retry")
      yield* repair(router, Repair.Retry()).pipe(onRouter(url, migrations))
      expect(yield* ask(url, half)).toMatchObject([{ state: "applied", steps_done: 2 }])
    })
  )

  it.scopedLive("does not accept an invalid index as a finished one, not even with `if not exists`", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": revision("create table router.a (id int);\ninsert into router.a values (1), (1);"),
        "router/0002_index.sql": stepwise("create unique index concurrently if not exists a_id on router.a (id);")
      })
      const failure = yield* Effect.flip(migrateRouter(url, migrations))
      expect(failure).toMatchObject({ _tag: "RevisionFailed", cause: { sqlstate: "23505" } })
      expect(failure.message).toContain(
        "index router.a_id is left invalid: pnpm migrate --service router repair --retry"
      )
      expect(yield* ask(url, index)).toEqual([{ indisvalid: false }])
      const refusal = yield* Effect.flip(migrateRouter(url, migrations))
      expect(refusal).toMatchObject({ _tag: "PartlyApplied", exitCode: 7, stepsDone: 0 })
      expect(refusal.message).toContain("left index router.a_id invalid")
    })
  )
})

describe("the statements that ran", () => {
  const words = FastCheck.array(FastCheck.constantFrom("a", "b", "c"), { maxLength: 6 })
  it.prop(
    "are compared one by one with those of the file; later ones do not count",
    [words, words, words],
    ([ran, same, later]) => {
      const done = { steps_done: ran.length, step_checksums: ran }
      expect(firstChanged(done, [...ran, ...later])).toBe(null)
      const differs = ran.findIndex((word, index) => same[index] !== word)
      expect(firstChanged(done, same)).toBe(differs === -1 ? null : differs + 1)
    }
  )
})
