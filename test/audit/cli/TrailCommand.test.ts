import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { HashedRow } from "../../../src/audit/encoding/AuditRow.ts"
import type { Incarnation } from "../../../src/audit/store/AuditStore.ts"
import * as PostgresAuditStore from "../../../src/audit/store/PostgresAuditStore.ts"
import { auditCommandLine } from "../../support/AuditCommandLine.ts"
import { rowsOf } from "../../support/AuditEvents.ts"
import { leaveJournal } from "../../support/Journals.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"
import { gatekeeperDatabase, query } from "../../support/Trail.ts"

const certain = { certain: true }
const end = { shed: 0, refused: 0, unwritten: 0, inDoubt: 0, quarantined: 0 }

const lifeOf = (rows: ReadonlyArray<HashedRow>, startedAt: number): Incarnation => ({
  source: rows[0]?.source ?? "",
  host: "here",
  pid: 7,
  startedAt,
  bootId: "boot",
  durability: "journal"
})

const withTrail = Effect.gen(function* () {
  const url = yield* gatekeeperDatabase
  const home = yield* temporaryHome
  return { url, home, store: yield* PostgresAuditStore.make({ url }), run: auditCommandLine({ url, home }) }
})

it.scopedLive(
  "trail status accounts for each source, as a table and as JSON, and exits with 0 when no event is missing",
  () =>
    Effect.gen(function* () {
      const { run, store } = yield* withTrail
      const empty = yield* run("trail", "status")
      expect(empty).toMatchObject({ code: 0, stderr: "" })
      expect(empty.stdout).toMatch(
        /^Trail [0-9a-f-]{36} in postgresql:.*\n\nNothing was recorded yet\.\n\nNo journals in \//
      )

      const now = Date.now()
      for (const [index, count] of [3, 5].entries()) {
        const rows = rowsOf(count)
        const life = lifeOf(rows, now + index)
        yield* store.register(life)
        yield* store.append(rows, certain)
        yield* store.signOff(life, { ...end, lastSeq: count + index, shed: index, refused: 2 * index })
      }
      const text = yield* run("trail", "status", "--gaps")
      expect(text.code).toBe(0)
      expect(text.stdout).toMatch(/signed off +\S+ +journal +8 +5 +0 +0 +0 +2 +1 +0 +0$/m)
      expect(text.stdout).toMatch(/^all 2 +11 +8 +0 +0 +0 +2 +1 +0 +0$/m)
      expect(text.stdout).toContain(": 6 (besides 0 that receipts name and 0 that wait)")

      const { code, stderr, stdout } = yield* run("trail", "status", "--limit", "1", "--json")
      expect([code, stderr]).toEqual([0, ""])
      const { result, ...rest } = JSON.parse(stdout)
      expect(rest).toEqual({ command: "trail status", exitCode: 0, error: null })
      expect(result.sources.length).toBe(1)
      expect(result.sources[0]).toMatchObject({
        standing: "signed off",
        offered: 8,
        shed: 1,
        unaccounted: 0,
        gaps: null
      })
      expect(result.total).toMatchObject({ sources: 2, offered: 11, committed: 8, unaccounted: 0 })
      expect(result).toMatchObject({ dead_letters: { total: 0, waiting: 0 }, journals: [] })
    })
)

it.scopedLive("trail status exits with 3 for unaccounted events of any age, and lists their numbers", () =>
  Effect.gen(function* () {
    const { run, store } = yield* withTrail
    const rows = rowsOf(9)
    yield* store.register(lifeOf(rows, 1_000))
    yield* store.append(
      rows.filter(({ seq }) => seq !== 3 && seq !== 7 && seq !== 8),
      certain
    )
    for (const later of [rowsOf(1), rowsOf(1)]) {
      yield* store.register(lifeOf(later, Date.now()))
      yield* store.append(later, certain)
    }
    const found = yield* run("trail", "status", "--gaps", "--limit", "1", "--json")
    expect(found.code).toBe(3)
    expect(found.stderr).toContain("3 events unaccounted for. To list")
    const { error, result } = JSON.parse(found.stdout)
    expect(error).toMatchObject({ error: "EventsUnaccounted", exitCode: 3 })
    expect(result.sources.map((one: { readonly unaccounted: number }) => one.unaccounted)).toEqual([0, 3])
    expect(result.sources[1].gaps).toEqual({
      unnamed: [
        { from: 3, to: 3 },
        { from: 7, to: 8 }
      ],
      named_by_receipts: 0,
      waiting: 0,
      beyond_balance: 0
    })
  })
)

it.scopedLive("trail status exits with 4 while dead letters wait, and with 0 when they are in the trail", () =>
  Effect.gen(function* () {
    const { run, store } = yield* withTrail
    for (const row of rowsOf(2)) yield* store.deadLetter(row, { sqlstate: "22001", reason: "long", attempts: 1 })
    const waiting = yield* run("trail", "status")
    expect(waiting.code).toBe(4)
    expect(waiting.stdout).toContain("Dead letters: 2 wait, 0 are in the trail.")
    expect(waiting.stderr).toContain("dead-letters list")
    expect((yield* run("dead-letters", "replay", "--all")).code).toBe(0)
    const after = yield* run("trail", "status")
    expect(after.code).toBe(0)
    expect(after.stdout).toContain("Dead letters: 0 wait, 2 are in the trail.")
  })
)

it.scopedLive("trail status --gaps exits with 3 when rows were deleted, which the counters do not show", () =>
  Effect.gen(function* () {
    const { run, store, url } = yield* withTrail
    const rows = rowsOf(4)
    yield* store.register(lifeOf(rows, Date.now()))
    yield* store.append(rows, certain)
    yield* query(
      url,
      `do $$ declare part regclass; begin
         for part in select relid from pg_partition_tree('gatekeeper.audit_log') loop
           execute format('alter table %s disable trigger all', part);
         end loop;
       end $$;
       delete from gatekeeper.audit_log where seq in (2, 3)`
    )
    expect((yield* run("trail", "status")).code).toBe(0)
    const found = yield* run("trail", "status", "--gaps")
    expect(found.code).toBe(3)
    expect(found.stderr).toContain("2 events removed from the trail")
    expect(found.stdout).toContain(
      ": 2-3 (besides 0 that receipts name and 0 that wait; 2 were removed from the trail)"
    )
  })
)

it.scopedLive(
  "trail status counts a journal's events as pending, names a journal of another trail, and works without a database",
  () =>
    Effect.gen(function* () {
      const { home, run, url } = yield* withTrail
      const directory = Path.join(home, "journal")
      const left = yield* leaveJournal(url, directory, 5, { counts: { lastSeq: 6, refused: 2, shed: 1 } })
      const other = "0b1e6c1e-6f0f-4d52-9b8e-2f6f4f1c2a3d"
      const foreign = yield* leaveJournal(url, directory, 3, { trail: other })
      const text = yield* run("trail", "status", "--gaps")
      expect(text).toMatchObject({ code: 0, stderr: "" })
      expect(text.stdout).toMatch(new RegExp(`^${left.source} +gone, journal left .* 8 +0 +5 +0 +0 +2 +1 +0 +0$`, "m"))
      expect(text.stdout).toContain(`${left.source}: 6 (besides 0 that receipts name and 5 that wait)`)
      expect(text.stdout).toMatch(new RegExp(`^${left.source} +no process +5 +\\d+ +this one$`, "m"))
      // The account excludes the events of another trail.
      expect(text.stdout).not.toMatch(new RegExp(`^${foreign.source} +gone`, "m"))
      expect(text.stdout).toMatch(
        new RegExp(`^${foreign.source} +no process +3 +\\d+ +another: ${other}, left alone$`, "m")
      )

      const nowhere = auditCommandLine({
        url: Redacted.make("postgresql://nouser:hidden-word@127.0.0.1:9/none"),
        home
      })
      const away = yield* nowhere("trail", "status", "--json")
      expect(away.code).toBe(9)
      expect(away.stderr).toContain("cannot connect to postgresql://nouser@127.0.0.1:9/none")
      expect(JSON.parse(away.stdout)).toMatchObject({
        exitCode: 9,
        error: { error: "TrailUnreachable" },
        result: { trail: null, sources: null, total: null, dead_letters: null, journals: [{}, {}] }
      })
      expect(away.stdout + away.stderr).not.toContain("hidden-word")
    })
)
