import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Repair, repair } from "../../../src/migrator/recover/Repair.ts"
import { ask, eventsOf, migrateRouter, migrationsOf, revision, write } from "../../support/migrator/Fixture.ts"
import { onRouter } from "../../support/migrator/OnRouter.ts"
import { router } from "../../support/migrator/Services.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const stepwise = (up: string) => revision(up, "select 1;", " transaction:false")

describe("a revision without a transaction whose file asks for one after a failure", { timeout: 30_000 }, () => {
  it.scopedLive("runs, if nothing of it was done", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_pt.sql": revision("create table router.pt (id int) partition by list (id);"),
        "router/0002_index.sql": stepwise("create index concurrently pt_id on router.pt (id);")
      })
      expect(yield* Effect.flip(migrateRouter(url, migrations))).toMatchObject({ cause: { sqlstate: "0A000" } })
      yield* write(migrations, { "router/0002_index.sql": revision("create index pt_id on router.pt (id);") })
      expect((yield* migrateRouter(url, migrations)).to).toBe("0002_index")
      expect(
        yield* ask(url, "select state, steps_done, steps_total from router.schema_history where revision = 2")
      ).toEqual([{ state: "applied", steps_done: 1, steps_total: 1 }])
      expect(yield* eventsOf(url)).toEqual(["prepared", "applied pt", "failed index", "applied index"])
    })
  )

  it.scopedLive("is refused with what fits, if a statement was done or its outcome is not known", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_half.sql": stepwise("create table router.half ();\nselect 1 / 0;")
      })
      yield* Effect.flip(migrateRouter(url, migrations))
      yield* write(migrations, { "router/0001_half.sql": revision("create table router.half ();\nselect 1;") })
      const refusal = yield* Effect.flip(migrateRouter(url, migrations))
      expect(refusal).toMatchObject({ _tag: "PartlyApplied", exitCode: 7, stepsDone: 1 })
      expect(refusal.message).toMatch(
        /0001_half\.sql asks for a transaction now, but 1 of its 2 statements ran without one/
      )
      expect(refusal.message).toContain("pnpm migrate --service router repair")

      yield* ask(url, "update router.schema_history set steps_done = 0, steps_begun = 1, step_checksums = '{}'")
      const unknown = yield* Effect.flip(migrateRouter(url, migrations))
      expect(unknown).toMatchObject({ _tag: "PartlyApplied", exitCode: 7 })
      expect(unknown.message).toContain("the outcome of statement 1, which ran without one, was not recorded")
    })
  )

  it.scopedLive("is refused while the invalid index of the failed build is there, which repair drops", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": revision("create table router.a (id int);\ninsert into router.a values (1), (1);"),
        "router/0002_index.sql": stepwise("create unique index concurrently a_id on router.a (id);")
      })
      yield* Effect.flip(migrateRouter(url, migrations))
      yield* write(migrations, { "router/0002_index.sql": revision("create index a_id on router.a (id);") })
      const refusal = yield* Effect.flip(migrateRouter(url, migrations))
      expect(refusal).toMatchObject({ _tag: "PartlyApplied", exitCode: 7 })
      expect(refusal.message).toContain("left index router.a_id invalid")
      const repaired = yield* repair(router, Repair.Retry()).pipe(onRouter(url, migrations))
      expect(repaired).toMatchObject({ did: "dropped the invalid router.a_id and continued", current: "0002_index" })
    })
  )
})
