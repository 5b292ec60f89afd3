import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { canonicalJson } from "../../../src/audit/encoding/AuditRow.ts"
import * as Journal from "../../../src/audit/journal/Journal.ts"
import * as OrphanedJournal from "../../../src/audit/journal/OrphanedJournal.ts"
import { makeDiskQuota } from "../../../src/audit/journal/Segments.ts"
import { auditCommandLine } from "../../support/AuditCommandLine.ts"
import { leaveJournal } from "../../support/Journals.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"

const unreachable = Redacted.make("postgresql://nouser:hidden-word@127.0.0.1:9/none")
const trail = "0b1e6c1e-6f0f-4d52-9b8e-2f6f4f1c2a3d"

const withHome = Effect.gen(function* () {
  const home = yield* temporaryHome
  return { directory: Path.join(home, "journal"), run: auditCommandLine({ url: unreachable, home }) }
})

const segmentOf = (path: string) => Path.join(path, "00000001.segment")

/** Damages the second record, and appends half a record. */
const damage = (path: string) =>
  Effect.promise(async () => {
    const bytes = await Fs.readFile(segmentOf(path))
    const second = bytes.indexOf('"seq":2,')
    bytes.writeUInt8(bytes.readUInt8(second) ^ 1, second)
    const torn = bytes.subarray(bytes.lastIndexOf("\u001eGJ", undefined, "latin1"), -40)
    await Fs.writeFile(segmentOf(path), Buffer.concat([bytes, torn]))
    return torn.length
  })

const everyByte = (path: string) =>
  Effect.promise(async () => {
    const names = (await Fs.readdir(path)).toSorted()
    return Promise.all(names.map(async (name) => [name, (await Fs.readFile(Path.join(path, name))).toString("base64")]))
  })

it.scopedLive("journal inspect shows a journal and its damage, by path or by source, and changes nothing", () =>
  Effect.gen(function* () {
    const { directory, run } = yield* withHome
    const { path, rows, source } = yield* leaveJournal(unreachable, directory, 4, {
      trail,
      counts: { lastSeq: 9, refused: 2, shed: 5 }
    })
    const torn = yield* damage(path)
    const before = yield* everyByte(path)
    const text = yield* run("journal", "inspect", source)
    expect(text).toMatchObject({ code: 0, stderr: "" })
    expect(text.stdout).toMatch(
      new RegExp(`^trail +${trail}\nsource +${source}\nprocess +4242 on host-of-the-dead, `, "m")
    )
    expect(text.stdout).toMatch(
      /^held by +no process\nstate +last number 9, refused 2, shed 5, settled up to 0, not ended\n/m
    )
    expect(text.stdout).toMatch(new RegExp(`^00000001\\.segment +whole +\\d+ +3 +1 +4 +1 +\\d{3} +${torn}$`, "m"))

    const { error, result } = JSON.parse((yield* run("journal", "inspect", path, "--json")).stdout)
    expect(error).toBeNull()
    expect(result).toMatchObject({
      ...{ source, trail, holder: null, pid: 4242, durability: "journal", unsettled: 3, quarantined_spans: 0 },
      state: { last_seq: 9, refused: 2, shed: 5, acknowledged: 0, ended: false },
      segments: [{ records: 3, corrupt_spans: 1, torn_bytes: torn }]
    })

    const lines = (yield* run("journal", "inspect", "--events", source)).stdout.trimEnd().split("\n")
    expect(lines.map((line) => JSON.parse(line).seq ?? JSON.parse(line).damage)).toEqual([1, "corrupt", 3, 4, "torn"])
    expect(lines[0]).toContain(`"event":${canonicalJson(rows[0] ?? expect.fail())}}`)
    expect(yield* everyByte(path)).toEqual(before)
  })
)

it.scopedLive("journal fsck exits with 0 for a whole journal, 5 for a damaged one, 11 when there is none", () =>
  Effect.gen(function* () {
    const { directory, run } = yield* withHome
    const { path, source } = yield* leaveJournal(unreachable, directory, 4, { trail })
    const whole = yield* run("journal", "fsck", source)
    expect(whole).toMatchObject({ code: 0, stderr: "" })
    yield* damage(path)
    const damaged = yield* run("journal", "fsck", source, "--json")
    expect(damaged.code).toBe(5)
    expect(damaged.stderr).toContain("is damaged: 1 corrupt span, 1 torn tail. To repair it: ")
    expect(JSON.parse(damaged.stdout)).toMatchObject({
      command: "journal fsck",
      exitCode: 5,
      error: { error: "JournalDamaged" },
      result: { source, segments: [{ corrupt_spans: 1 }] }
    })
    for (const command of ["inspect", "fsck", "inspect --events"]) {
      const none = yield* run("journal", ...command.split(" "), crypto.randomUUID())
      expect([command, none.code, none.stdout]).toEqual([command, 11, ""])
      expect(none.stderr).toContain(`there is no journal in ${directory}`)
    }
  })
)

it.scopedLive("a directory without a journal is not reported as a damaged journal, and no file is created in it", () =>
  Effect.gen(function* () {
    const { directory, run } = yield* withHome
    yield* leaveJournal(unreachable, directory, 1, { trail })
    const empty = Path.join(directory, "quarantine")
    yield* Effect.promise(() => Fs.mkdir(empty, { recursive: true }))
    const cases = [
      [directory, "it is the directory of all journals"],
      [empty, "it has no file of a journal"]
    ] as const
    for (const [path, problem] of cases) {
      const before = yield* Effect.promise(() => Fs.readdir(path))
      for (const command of ["inspect", "fsck", "fsck --repair"]) {
        const none = yield* run("journal", ...command.split(" "), path)
        expect([command, none.code, none.stdout]).toEqual([command, 11, ""])
        expect(none.stderr).toContain(`there is no journal in ${path}: ${problem}. To list the journals: `)
      }
      expect(yield* Effect.promise(() => Fs.readdir(path))).toEqual(before)
    }
  })
)

it.scopedLive("journal fsck --repair moves damage to the quarantine once, and keeps every other record unchanged", () =>
  Effect.gen(function* () {
    const { directory, run } = yield* withHome
    const { path, rows, source } = yield* leaveJournal(unreachable, directory, 4, { trail })
    const torn = yield* damage(path)
    const broken = yield* Effect.promise(() => Fs.readFile(segmentOf(path)))
    const repaired = yield* run("journal", "fsck", source, "--repair", "--json")
    expect(repaired.code).toBe(6)
    expect(repaired.stderr).toContain(`1 corrupt span moved to the quarantine, torn tails of ${torn} bytes cut`)
    expect(JSON.parse(repaired.stdout)).toMatchObject({
      exitCode: 6,
      error: { error: "JournalRepaired" },
      result: {
        ...{ unsettled: 3, quarantined_spans: 1, repaired: { put_aside: 1, cut_bytes: torn } },
        segments: [{ records: 3, corrupt_spans: 0, torn_bytes: 0 }]
      }
    })
    const [kept = ""] = yield* Effect.promise(() => Fs.readdir(Path.join(directory, "quarantine", source)))
    const aside = yield* Effect.promise(() => Fs.readFile(Path.join(directory, "quarantine", source, kept)))
    expect(broken.includes(aside)).toBe(true)
    expect(aside.includes('seq":2,')).toBe(true)

    // It is whole now, for fsck and for the process that takes it over.
    expect((yield* run("journal", "fsck", source, "--repair")).code).toBe(0)
    const outcome = yield* OrphanedJournal.adopt(path, { trail, quota: makeDiskQuota(2 ** 20) })
    if (outcome._tag !== "adopted") return expect.fail(outcome._tag)
    expect(outcome.journal.scan).toMatchObject({
      frames: 3,
      quarantined: 1,
      tornBytes: 0,
      gaps: [{ from: 2, to: 2 }]
    })
    const { frames } = yield* outcome.journal.readAfter(0).next(10)
    expect(frames.map(({ json }) => json)).toEqual(rows.filter(({ seq }) => seq !== 2).map(canonicalJson))
  })
)

it.scopedLive(
  "journal fsck refuses the journal of a running process and names the process; inspect still reads it",
  () =>
    Effect.gen(function* () {
      const { directory, run } = yield* withHome
      const source = crypto.randomUUID()
      const identity = { trail, source, bootId: "b", startedAt: Date.now(), host: "here", pid: process.pid }
      yield* Journal.open({
        directory,
        identity: { ...identity, durability: "journal" },
        quota: makeDiskQuota(2 ** 20),
        flushInterval: "1 second"
      })
      const refused = yield* run("journal", "fsck", source, "--repair", "--json")
      expect(refused.code).toBe(7)
      expect(refused.stderr).toContain(`in use by process ${process.pid} on here`)
      expect(JSON.parse(refused.stdout)).toMatchObject({ result: null, error: { error: "JournalInUse", exitCode: 7 } })
      const seen = yield* run("journal", "inspect", source)
      expect(seen.code).toBe(0)
      expect(seen.stdout).toMatch(new RegExp(`^held by +process ${process.pid} on here, since `, "m"))
    })
)
