import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { Target } from "../../../src/migrator/plan/Target.ts"
import { diagnose } from "../../../src/migrator/recover/Diagnosis.ts"
import { Repair, repair } from "../../../src/migrator/recover/Repair.ts"
import { dataMigrationsOf, dataRevision } from "../../support/migrator/DataMigrations.ts"
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

const outside = " transaction:false"
const lastEvent = (url: Redacted.Redacted) =>
  ask(url, "select event, slug, reason, details from router.schema_event order by id desc limit 1")
const state = "select revision, state, steps_done, steps_total from router.schema_history order by 1 desc limit 1"
const commands = (url: Redacted.Redacted, migrations: string) =>
  diagnose(router).pipe(
    onRouter(url, migrations),
    Effect.map(({ remedies }) => remedies.map(({ command }) => command.replace("pnpm migrate --service router ", "")))
  )

describe("repair", () => {
  it.scopedLive("--retry drops only the invalid index that the failed statement left, and continues", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": revision("create table router.a (id int);\ninsert into router.a values (1), (1);"),
        "router/0002_index.sql": revision(
          "create unique index concurrently if not exists a_id on router.a (id);\ncreate table router.after ();",
          "select 1;",
          outside
        )
      })
      expect(yield* diagnose(router).pipe(onRouter(url, migrations))).toMatchObject({ remedies: [], halfway: null })
      yield* Effect.flip(migrateRouter(url, migrations))
      // Another revision's index, which must not be dropped.
      yield* Effect.flip(ask(url, "create unique index concurrently other on router.a (id)"))
      expect(yield* diagnose(router).pipe(onRouter(url, migrations))).toMatchObject({
        current: "0001_a",
        halfway: { revision: "0002_index", state: "applying", stepsDone: 0, stepsTotal: 2, outcomeUnknown: false },
        invalidIndexes: ["router.a_id", "router.other"]
      })
      expect(yield* commands(url, migrations)).toEqual([
        "repair --retry",
        'repair --mark-applied --reason "<why>"',
        'repair --mark-reverted --reason "<why>"'
      ])
      // The cause remains: the statement fails as before, and can be repaired as before.
      const again = yield* Effect.flip(repair(router, Repair.Retry()).pipe(onRouter(url, migrations)))
      expect(again).toMatchObject({ _tag: "RevisionFailed", exitCode: 1 })
      yield* ask(url, "delete from router.a where ctid = (select min(ctid) from router.a)")
      expect(yield* repair(router, Repair.Retry()).pipe(onRouter(url, migrations))).toMatchObject({
        revision: "0002_index",
        did: "dropped the invalid router.a_id and continued",
        current: "0002_index"
      })
      expect(
        yield* ask(
          url,
          "select indexrelid::regclass::text as name, indisvalid from pg_index where indrelid = 'router.a'::regclass order by 1"
        )
      ).toEqual([
        { name: "router.a_id", indisvalid: true },
        { name: "router.other", indisvalid: false }
      ])
      expect(yield* tablesOf(url, "router")).toEqual(["a", "after"])
      expect((yield* eventsOf(url)).slice(2)).toEqual([
        "failed index",
        "repaired index",
        "failed index",
        "repaired index",
        "applied index"
      ])
    })
  )

  const half = revision("create table router.half (id int);\nselect 1 / 0;", "select 1;", outside)

  it.scopedLive("--mark-applied and --mark-reverted close a half-way revision by hand, with the reason", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA, "router/0002_half.sql": half })
      yield* Effect.flip(migrateRouter(url, migrations))
      expect(yield* commands(url, migrations)).toEqual([
        "upgrade 0002_half",
        "repair --retry",
        'repair --mark-applied --reason "<why>"',
        'repair --mark-reverted --reason "<why>"'
      ])
      yield* ask(url, "drop table router.half")
      const undone = repair(router, Repair.MarkReverted({ reason: "undone by hand" }))
      expect(yield* undone.pipe(onRouter(url, migrations))).toMatchObject({ revision: "0002_half", current: "0001_a" })
      expect(yield* lastEvent(url)).toEqual([
        {
          event: "repaired",
          slug: "half",
          reason: "undone by hand",
          details: { action: "mark-reverted", from: "applying", stepsDone: 1, stepsTotal: 2 }
        }
      ])
      yield* Effect.flip(migrateRouter(url, migrations))
      // Corrected since it failed: the present file is recorded, with its down script.
      yield* write(migrations, {
        "router/0002_half.sql": half.replace("select 1 / 0", "select 2").replace("\nselect 1;\n", "\nselect 3;\n")
      })
      const done = repair(router, Repair.MarkApplied({ reason: "done by hand" }))
      expect(yield* done.pipe(onRouter(url, migrations))).toMatchObject({ current: "0002_half" })
      expect(yield* ask(url, state)).toEqual([{ revision: 2, state: "applied", steps_done: 2, steps_total: 2 }])
      const [kept] = yield* ask(url, "select down_script from router.schema_history where revision = 2")
      expect(kept?.["down_script"]).toContain("select 3;")
      expect((yield* migrateRouter(url, migrations)).steps).toEqual([])
      for (const nothing of [undone, done, repair(router, Repair.Retry())]) {
        const refusal = yield* Effect.flip(nothing.pipe(onRouter(url, migrations)))
        expect(refusal).toMatchObject({ _tag: "NothingToRepair", exitCode: 10 })
        expect(refusal.message).toContain("no revision is half-way")
      }
    })
  )

  it.scopedLive(
    "--accept-checksum records an edited file with its down script, and keeps both checksums in the event",
    () =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
        const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
        yield* migrateRouter(url, migrations)
        const recorded = "select up_checksum as up, down_checksum as down, down_script from router.schema_history"
        const [before] = yield* ask(url, recorded)
        const accept = repair(router, Repair.AcceptChecksum({ number: 1, slug: "a", reason: "only a comment" })).pipe(
          onRouter(url, migrations)
        )
        expect((yield* Effect.flip(accept)).message).toContain("the file of 0001_a is as it was applied")
        yield* write(migrations, { "router/0001_a.sql": tableA.replace("drop table", "-- all of it\ndrop table") })
        expect(yield* commands(url, migrations)).toEqual([
          expect.stringMatching(/^git checkout -- .*0001_a\.sql$/),
          'repair --accept-checksum 0001_a --reason "<why>"'
        ])
        expect(yield* Effect.flip(migrateRouter(url, migrations))).toMatchObject({
          _tag: "ChecksumMismatch",
          exitCode: 4
        })
        yield* accept
        const [after] = yield* ask(url, recorded)
        expect(after?.["down_script"]).toContain("-- all of it")
        const sums = (row: typeof before) => ({ up: row?.["up"], down: row?.["down"] })
        expect(yield* lastEvent(url)).toMatchObject([
          { event: "repaired", reason: "only a comment", details: { old: sums(before), new: sums(after) } }
        ])
        expect((yield* migrateRouter(url, migrations)).steps).toEqual([])
        const unknown = repair(router, Repair.AcceptChecksum({ number: 2, slug: null, reason: "x" }))
        expect(yield* Effect.flip(unknown.pipe(onRouter(url, migrations)))).toMatchObject({ _tag: "NothingToRepair" })
      })
  )

  it.scopedLive("--retry also finishes a half-way downgrade", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const back = revision(
        "create view router.one as select 1;\ncreate view router.two as select 2;",
        "drop view router.two;\nselect 1 / (select n from router.a);\ndrop view router.one;"
      )
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": revision("create table router.a as select 0 as n;"),
        "router/0002_steps.sql": back.replace("migrate:down", `migrate:down${outside}`)
      })
      yield* migrateRouter(url, migrations)
      yield* Effect.flip(migrateRouter(url, migrations, Target.Back({ count: 1 })))
      expect(yield* ask(url, state)).toEqual([{ revision: 2, state: "reverting", steps_done: 1, steps_total: 3 }])
      expect((yield* commands(url, migrations))[0]).toBe("downgrade 0001_a")
      yield* ask(url, "update router.a set n = 1")
      expect(yield* repair(router, Repair.Retry()).pipe(onRouter(url, migrations))).toMatchObject({
        current: "0001_a"
      })
      expect(yield* tablesOf(url, "router")).toEqual(["a"])
    })
  )

  it.scopedLive(
    "--retry continues with the corrected file of a data revision, and records the old and the new one",
    () =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
        const data = (body: string) =>
          dataRevision(
            `up: Effect.flatMap(sql, (db) => db\`${body}\`), irreversible: "a test"`,
            `// migrate:up${outside}`
          )
        // A process imports a module once, so each state of the file has a folder of its own.
        const folder = (name: string, text: string) =>
          dataMigrationsOf({ "router/0001_a.sql": tableA, [`router/${name}.ts`]: text })
        yield* Effect.flip(
          migrateRouter(url, yield* folder("0002_fill", data("insert into router.missing values (1)")))
        )
        const retry = (directory: string) => repair(router, Repair.Retry()).pipe(onRouter(url, directory))
        const unreadable = yield* folder("0002_fill", "export const nothing = 1\n")
        expect((yield* Effect.flip(retry(unreadable)))._tag).toBe("DataRevisionUnreadable")
        const other = yield* folder("0002_other", data("select 1"))
        expect((yield* Effect.flip(retry(other)))._tag).toBe("PartlyApplied")
        expect(yield* commands(url, other)).toEqual([
          "status",
          'repair --mark-applied --reason "<why>"',
          'repair --mark-reverted --reason "<why>"'
        ])
        // Neither was possible, so neither is recorded.
        expect(yield* eventsOf(url)).not.toContain("repaired fill")
        const migrations = yield* folder("0002_fill", data("insert into router.a values (1)"))
        expect((yield* commands(url, migrations)).slice(0, 2)).toEqual([
          expect.stringMatching(/^git checkout -- .*0002_fill\.ts$/),
          "repair --retry"
        ])
        const sum = "select up_checksum as sum from router.schema_history where revision = 2"
        const [before] = yield* ask(url, sum)
        expect(yield* retry(migrations)).toMatchObject({ current: "0002_fill" })
        const [after] = yield* ask(url, sum)
        expect(yield* ask(url, "select details from router.schema_event where event = 'repaired'")).toMatchObject([
          { details: { action: "retry", old: { up: before?.["sum"] }, new: { up: after?.["sum"] } } }
        ])
        expect(after).not.toEqual(before)
        expect((yield* migrateRouter(url, migrations)).steps).toEqual([])
      })
  )

  it.scopedLive("--retry is not recorded if a statement that ran was removed from the file", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_half.sql": half })
      yield* Effect.flip(migrateRouter(url, migrations))
      yield* write(migrations, { "router/0001_half.sql": half.replace("table router.half", "table router.whole") })
      const refusal = yield* Effect.flip(repair(router, Repair.Retry()).pipe(onRouter(url, migrations)))
      expect(refusal).toMatchObject({ _tag: "PartlyApplied", exitCode: 7 })
      expect(refusal.message).toContain("statement 1 of 0001_half differs from the one that ran")
      expect(yield* eventsOf(url)).toEqual(["prepared", "failed half"])
    })
  )
})
