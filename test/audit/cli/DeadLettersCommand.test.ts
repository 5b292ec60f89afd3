import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { replayVerdict } from "../../../src/audit/cli/LetterActions.ts"
import { canonicalJson } from "../../../src/audit/encoding/AuditRow.ts"
import * as PostgresAuditStore from "../../../src/audit/store/PostgresAuditStore.ts"
import { auditCommandLine } from "../../support/AuditCommandLine.ts"
import { anEvent, rowsOf } from "../../support/AuditEvents.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"
import { gatekeeperDatabase, query } from "../../support/Trail.ts"

const unknownId = "01983f2e-7c1a-7000-8000-0123456789ab"
const unreachable = Redacted.make("postgresql://nouser:hidden-word@127.0.0.1:9/none")

const withLetters = (number: number, reason = "the column is too short") =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const store = yield* PostgresAuditStore.make({ url })
    const rows = rowsOf(number, { event: { ...anEvent, metadata: { note: "\u202eevil\u001b[2J" } } })
    for (const row of rows) yield* store.deadLetter(row, { sqlstate: "22001", reason, attempts: 3 })
    return { url, rows, ids: rows.map(({ id }) => id), run: auditCommandLine({ url, home: yield* temporaryHome }) }
  })

it.scopedLive(
  "dead-letters list shows each letter with its reason, page after page, and says when there are no letters",
  () =>
    Effect.gen(function* () {
      const { ids, run } = yield* withLetters(3, "too long: \u001b[31m")
      const text = yield* run("dead-letters", "list")
      expect(text).toMatchObject({ code: 0, stderr: "" })
      for (const id of ids)
        expect(text.stdout).toMatch(new RegExp(`^${id} .* waits .* 22001: too long: \\\\u\\{1b\\}`, "m"))
      expect(text.stdout).not.toContain("\u001b")

      const seen: Array<unknown> = []
      let after: ReadonlyArray<string> = []
      do {
        const page = JSON.parse((yield* run("dead-letters", "list", "--limit", "2", ...after, "--json")).stdout)
        expect(page).toMatchObject({ command: "dead-letters list", exitCode: 0, error: null })
        seen.push(...page.result.letters.map((letter: { readonly event_id: string }) => letter.event_id))
        after = page.result.next === null ? [] : ["--after", page.result.next]
      } while (after.length > 0)
      expect(seen).toEqual([...ids].reverse())
      const none = auditCommandLine({ url: yield* gatekeeperDatabase, home: yield* temporaryHome })
      expect(yield* none("dead-letters", "list")).toEqual({ code: 0, stdout: "No dead letters.\n", stderr: "" })
    })
)

it.scopedLive(
  "dead-letters show prints the original event, its reason and its replays, and exits with 11 for an unknown id",
  () =>
    Effect.gen(function* () {
      const { ids, rows, run, url } = yield* withLetters(1)
      const [id = ""] = ids
      yield* query(url, "alter table gatekeeper.audit_log add check (result = 'REPLAYED')")
      expect((yield* run("dead-letters", "replay", id, "--by", "Ada")).code).toBe(8)
      const text = yield* run("dead-letters", "show", id)
      expect(text.code).toBe(0)
      expect(text.stdout).toContain("22001: the column is too short")
      expect(text.stdout).toMatch(/replay +\S+ by Ada: failed, .*23514/)
      expect(text.stdout).toContain('  "action": "execute",')
      // Control characters of an event do not reach the terminal.
      expect(text.stdout).toContain("\\u{202e}evil\\u001b[2J")

      const { error, result } = JSON.parse((yield* run("dead-letters", "show", id, "--json")).stdout)
      expect(error).toBeNull()
      expect(Buffer.from(result.letters[0].body_base64, "base64").toString()).toBe(
        canonicalJson(rows[0] ?? expect.fail())
      )
      expect(result.letters[0]).toMatchObject({
        event_id: id,
        settled: false,
        event: { id, metadata: { note: "\u202eevil\u001b[2J" } },
        tries: [{ by: "Ada", outcome: "failed" }]
      })

      for (const unknown of [unknownId, "not-an-id"]) {
        const refused = yield* run("dead-letters", "show", unknown, "--json")
        expect(refused.code).toBe(11)
        expect(refused.stderr).toContain(`no dead letter of an event ${unknown}`)
        expect(JSON.parse(refused.stdout)).toMatchObject({
          exitCode: 11,
          result: null,
          error: { error: "LetterUnknown" }
        })
      }
    })
)

it.scopedLive("dead-letters replay writes each letter to the trail once, and records who replayed it", () =>
  Effect.gen(function* () {
    const { ids, run, url } = yield* withLetters(3)
    const [first = ""] = ids
    const one = yield* run("dead-letters", "replay", first, "--by", "Ada")
    expect(one).toMatchObject({ code: 0, stderr: "" })
    expect(one.stdout).toMatch(new RegExp(`^${first} +replayed +[0-9a-f-]{36}$`, "m"))
    const all = JSON.parse((yield* run("dead-letters", "replay", "--all", "--by", "Eve", "--json")).stdout)
    expect(all).toMatchObject({ command: "dead-letters replay", exitCode: 0, error: null })
    expect(all.result.outcomes.map((one: { readonly outcome: string }) => one.outcome)).toEqual([
      "replayed",
      "replayed"
    ])
    const again = yield* run("dead-letters", "replay", ...ids)
    expect(again.code).toBe(0)
    expect(again.stdout.match(/ settled /g)?.length).toBe(3)
    expect((yield* run("dead-letters", "replay", "--all")).stdout).toBe("No dead letter waits.\n")
    const told = yield* query(url, "select metadata ->> 'by' as by from gatekeeper.audit_log where result = 'REPLAYED'")
    expect(told.map(({ by }) => by).toSorted()).toEqual(["Ada", "Eve", "Eve"])
  })
)

it.scopedLive("dead-letters exits with 2 for wrong arguments, and with 9 when the database is unreachable", () =>
  Effect.gen(function* () {
    const run = auditCommandLine({ url: unreachable, home: yield* temporaryHome })
    const wrong = [
      "replay",
      `replay --all ${unknownId}`,
      "list --after here",
      "list --limit 0",
      "list --limit 1001",
      "show"
    ]
    for (const line of wrong) {
      const { code, stdout } = yield* run("dead-letters", ...line.split(" "), "--json")
      expect([line, code]).toEqual([line, 2])
      expect(JSON.parse(stdout)).toMatchObject({ exitCode: 2, result: null, error: { exitCode: 2 } })
    }
    for (const line of ["list", `show ${unknownId}`, "replay --all --yes"]) {
      const { code, stderr, stdout } = yield* run("dead-letters", ...line.split(" "))
      expect([line, code, stdout]).toEqual([line, 9, ""])
      expect(stderr).toContain("cannot connect to postgresql://nouser@127.0.0.1:9/none")
      expect(stderr).not.toContain("hidden-word")
    }
  })
)

it("a replay fails only when a letter was refused or failed", () => {
  const one = (outcome: "replayed" | "present" | "settled" | "refused" | "failed") => ({
    eventId: unknownId,
    leafHash: "0",
    outcome,
    detail: null,
    auditId: null
  })
  expect(replayVerdict([])).toBeNull()
  expect(replayVerdict([one("replayed"), one("present"), one("settled")])).toBeNull()
  expect(replayVerdict([one("replayed"), one("refused")])).toMatchObject({ exitCode: 8 })
  expect(replayVerdict([one("failed")])?.message).toContain(`show ${unknownId}`)
})
