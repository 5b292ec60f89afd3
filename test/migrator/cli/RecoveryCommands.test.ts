import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { acquire } from "../../../src/migrator/apply/SchemaLock.ts"
import { chosenRepair } from "../../../src/migrator/cli/RecoveryCommands.ts"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { commandLine } from "../../support/migrator/CommandLine.ts"
import { dataMigrationsOf, dataRevision } from "../../support/migrator/DataMigrations.ts"
import { ask, migrationsOf, revision, tableA, tablesOf, write } from "../../support/migrator/Fixture.ts"
import { run } from "../../support/migrator/Processes.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

describe("the options of repair", () => {
  const nothing = {
    retry: false,
    markApplied: false,
    markReverted: false,
    acceptChecksum: Option.none(),
    reason: Option.none()
  }
  const reason = Option.some("why")
  const to = Option.some({ _tag: "UpTo" as const, number: 2, slug: null })
  it.each<[what: string, chosen: Parameters<typeof chosenRepair>[0], tag: string | undefined]>([
    ["nothing: a look", nothing, undefined],
    ["a reason alone", { ...nothing, reason }, "CommandRefused"],
    ["a retry, which explains itself", { ...nothing, retry: true }, "Retry"],
    ["a mark without a reason", { ...nothing, markApplied: true }, "CommandRefused"],
    ["a mark", { ...nothing, markApplied: true, reason }, "MarkApplied"],
    ["the other mark", { ...nothing, markReverted: true, reason }, "MarkReverted"],
    ["a checksum without a reason", { ...nothing, acceptChecksum: to }, "CommandRefused"],
    ["a checksum", { ...nothing, acceptChecksum: to, reason }, "AcceptChecksum"],
    ["two ways at once", { ...nothing, retry: true, markApplied: true, reason }, "CommandRefused"]
  ])("is understood: %s", (_, chosen, tag) => {
    expect(chosenRepair(chosen)?._tag).toBe(tag)
  })
})

describe("the recovery commands", { timeout: 120_000 }, () => {
  it.scopedLive("lead from each failure to the next command that fixes it", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": tableA,
        "router/0002_half.sql": revision(
          "create table router.half ();\nselect 1 / 0;",
          "select 1;",
          " transaction:false"
        )
      })
      const migrate = commandLine({ url, migrations })
      const router = (...args: ReadonlyArray<string>) => migrate(...args, "--service", "router")
      // A database with tables and no history.
      yield* ask(url, "create schema router; create table router.a (id int primary key)")
      const strange = yield* router("upgrade")
      expect([strange.code, strange.stderr]).toEqual([10, expect.stringContaining("stamp <the revision")])
      expect((yield* router("stamp", "0001_a")).code).toBe(2)
      expect((yield* migrate("stamp", "0001", "--reason", "taken over")).code).toBe(2)
      const stamped = yield* router("stamp", "0001_a", "--reason", "taken over")
      expect([stamped.code, stamped.stdout]).toEqual([0, expect.stringMatching(/router +base +0001_a +0001_a/)])
      // Half-way.
      expect((yield* router("upgrade")).code).toBe(1)
      const sick = yield* router("repair")
      expect(sick.code).toBe(7)
      expect(sick.stdout).toContain("0002_half stopped while applying, after 1 of 2 statements")
      expect(sick.stdout).toContain("pnpm migrate --service router repair --retry")
      expect((yield* router("repair", "--mark-applied")).code).toBe(2)
      expect((yield* migrate("repair", "--retry")).code).toBe(2)
      const closed = yield* router("repair", "--mark-applied", "--reason", "a test", "--json")
      expect(closed.code).toBe(0)
      expect(JSON.parse(closed.stdout)).toMatchObject({ services: [{ ok: true, result: { current: "0002_half" } }] })
      expect((yield* router("repair")).stdout).toContain("router: nothing to repair, at 0002_half")
      // Edited.
      yield* write(migrations, { "router/0001_a.sql": tableA.replace("int primary key", "int  primary key") })
      const edited = yield* router("repair")
      expect([edited.code, edited.stdout]).toEqual([4, expect.stringContaining("repair --accept-checksum 0001_a")])
      expect((yield* router("repair", "--accept-checksum", "1", "--reason", "blanks")).code).toBe(0)
      // Merged late.
      yield* write(migrations, { "router/0001_late.sql": revision("create table router.late ();") })
      expect((yield* router("upgrade")).stderr).toContain("renumber 0001_late")
      const renumbered = yield* router("renumber", "0001_late")
      expect([renumbered.code, renumbered.stdout]).toEqual([0, expect.stringContaining("0001_late is 0003_late now")])
      expect((yield* router("upgrade")).code).toBe(0)
      expect(yield* tablesOf(url, "router")).toEqual(["a", "half", "late"])
      // Locked.
      expect((yield* router("unlock")).stdout).toMatch(/router +free/)
      const holder = yield* connect({ url, applicationName: "gravitas migrate router 42@elsewhere" })
      yield* acquire(holder, "router", Duration.zero)
      const locked = yield* router("downgrade", "-1", "--lock-wait", "0s")
      expect([locked.code, locked.stderr]).toEqual([6, expect.stringContaining("unlock --pid")])
      expect((yield* router("unlock")).stdout).toContain(String(holder.backendPid))
      expect((yield* router("unlock", "--pid", "1")).code).toBe(10)
      const freed = yield* router("unlock", "--pid", String(holder.backendPid))
      expect([freed.code, freed.stdout]).toEqual([0, expect.stringMatching(/router +freed/)])
      expect((yield* router("downgrade", "-1")).code).toBe(0)
    })
  )

  it.scopedLive("work on data revisions, which a process imports from their files", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const fill = "// migrate:up transaction:false\n"
      const migrations = yield* dataMigrationsOf({
        "router/0001_a.sql": tableA,
        "router/0002_fill.ts": dataRevision(
          `up: untilNoRowIsLeft({ name: "fill", batch: Effect.flatMap(sql, (db) => db\`
             insert into router.a select coalesce(max(id), 0) + 1 from router.a having count(*) < 3 returning id\`).pipe(
             Effect.map((rows) => rows.length)) }),
           irreversible: "a test"`,
          fill
        )
      })
      const { code, stderr, stdout } = yield* run("runMigrate", ["--service", "router"], { url, migrations })
      expect([code, stderr]).toEqual([0, expect.stringContaining("fill done, 3 rows in 4 batches")])
      expect(stdout).toContain("0002_fill")
      expect(yield* ask(url, "select count(*)::int as rows from router.a")).toEqual([{ rows: 3 }])
    })
  )
})
