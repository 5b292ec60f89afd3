import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { type JournalFiles, nodeFiles } from "../../src/audit/journal/JournalFiles.ts"
import { anEvent } from "../support/AuditEvents.ts"
import { journaled, journalFolder, leaveJournal } from "../support/Journals.ts"
import {
  gatekeeperDatabase,
  isConserved,
  openTrail,
  query,
  recordedIds,
  recordMany,
  settled,
  until,
  untilRows
} from "../support/Trail.ts"

/** A disk that refuses to be written to for as long as `code` is set. */
const failingDisk = () => {
  const disk: { code: string | undefined; short: boolean } = { code: undefined, short: false }
  const files: JournalFiles = {
    ...nodeFiles,
    write: (fd, bytes, offset, length, position) => {
      if (disk.code === undefined) return nodeFiles.write(fd, bytes, offset, length, position)
      // A full disk takes a part of the bytes first.
      if (disk.short) {
        disk.short = false
        return nodeFiles.write(fd, bytes, offset, Math.ceil(length / 2), position)
      }
      throw Object.assign(new Error(`${disk.code}: write`), { code: disk.code })
    }
  }
  return { disk, files }
}

it.scopedLive.each(["ENOSPC", "EIO"])(
  "a disk that answers %s refuses events, loses none that it took, and takes them again by itself",
  (code) =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const { disk, files } = failingDisk()
      const trail = yield* openTrail(url, journaled(yield* journalFolder, "journal", { files }))
      const before = yield* recordMany(trail.log, 20)
      disk.code = code
      disk.short = true
      const refusal = yield* Effect.flip(trail.log.record(anEvent))
      expect(refusal).toMatchObject({ _tag: "AuditUnavailable", reason: "failing" })
      expect(refusal.message).toContain(code)
      const problem = expect.stringContaining(code)
      expect(yield* trail.log.status).toMatchObject({ accepting: false, journal: { problem } })
      disk.code = undefined
      const again = yield* trail.log.record(anEvent).pipe(Effect.retry(Schedule.spaced("20 millis")))
      const after = yield* recordMany(trail.log, 20)
      const status = yield* settled(trail.log)
      expect(status).toMatchObject({ accepting: true, journal: { problem: null } })
      expect(isConserved(status)).toBe(true)
      expect(yield* recordedIds(url)).toEqual([...before, again, ...after])
    })
)

it.scopedLive("a disk that fails sheds where it is told to, and a receipt says so once it takes events again", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const { disk, files } = failingDisk()
    const trail = yield* openTrail(url, {
      ...journaled(yield* journalFolder, "journal", { files }),
      onFull: "shed"
    })
    yield* recordMany(trail.log, 2)
    disk.code = "ENOSPC"
    yield* recordMany(trail.log, 3)
    expect(yield* trail.log.status).toMatchObject({ accepting: true, counters: { shed: 3 } })
    disk.code = undefined
    const rows = yield* untilRows(
      url,
      "select metadata from gatekeeper.audit_log where result = 'LOST'",
      (found) => found.length > 0
    )
    expect(rows[0]?.["metadata"]).toMatchObject({ kind: "shed", from_seq: 3, to_seq: 5, count: 3 })
  })
)

/** Synchronous, so that no other fiber reads the file before. */
const flipByteIn = (folder: string, share: number) =>
  Effect.sync(() => {
    const names = readdirSync(folder)
      .filter((name) => name.endsWith(".segment"))
      .toSorted()
    const path = Path.join(folder, names[0] ?? "")
    const bytes = readFileSync(path)
    const at = Math.floor(bytes.length * share)
    bytes[at] = (bytes[at] ?? 0) ^ 0x40
    writeFileSync(path, bytes)
  })

it.scopedLive(
  "a record that is damaged before it was read back is put aside and counted; the others come through",
  () =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const directory = yield* journalFolder
      const gate = yield* Effect.makeLatch(false)
      const trail = yield* openTrail(url, { ...journaled(directory), queueCapacity: 10, batchSize: 20 }, (store) => ({
        ...store,
        append: (rows, options) => Effect.zipRight(gate.await, store.append(rows, options))
      }))
      const { source } = yield* trail.log.status
      // So few that this fiber does not yield: the writer's reads ahead begin after the damage.
      const ids = yield* recordMany(trail.log, 100)
      yield* flipByteIn(Path.join(directory, source), 0.6)
      yield* gate.open
      const status = yield* settled(trail.log)
      expect(status).toMatchObject({ counters: { committed: 99, passedOver: 1 }, journal: { quarantined: 1 } })
      expect(isConserved(status)).toBe(true)
      const recorded = yield* recordedIds(url)
      expect(ids.filter((id) => !recorded.includes(id))).toHaveLength(1)
      expect(yield* Effect.promise(() => Fs.readdir(Path.join(directory, "quarantine", source)))).toHaveLength(1)
      // No process looks at this source after its end.
      yield* trail.shutdown
      const [row] = yield* query(
        url,
        `select signed_off_seq::integer as signed_off, quarantined::integer, lost::integer
         from gatekeeper.audit_source where source = $1`,
        [source]
      )
      // The receipt has a number, too.
      expect(row).toEqual({ signed_off: 101, quarantined: 1, lost: 0 })
      const receipts = yield* query(
        url,
        "select metadata->>'kind' as kind from gatekeeper.audit_log where result = 'LOST'"
      )
      expect(receipts).toEqual([{ kind: "quarantined" }])
    })
)

it.scopedLive("a damaged record in the journal of a dead process costs its event, and a receipt names it", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const directory = yield* journalFolder
    const left = yield* leaveJournal(url, directory, 40)
    yield* flipByteIn(left.path, 0.5)
    const trail = yield* openTrail(url, journaled(directory))
    yield* until(trail.log, (status) => status.journal?.others.adopted === 1)
    const [row] = yield* query(
      url,
      `select signed_off_seq::integer as signed_off, committed::integer, quarantined::integer, lost::integer
       from gatekeeper.audit_source where source = $1`,
      [left.source]
    )
    expect(row).toEqual({ signed_off: 40, committed: 39, quarantined: 1, lost: 0 })
    const [receipt] = yield* query(
      url,
      "select metadata, (select count(*) from gatekeeper.audit_log as event where event.source = $1 and event.seq = (receipt.metadata->>'from_seq')::bigint)::integer as rows from gatekeeper.audit_log as receipt where result = 'LOST'",
      [left.source]
    )
    expect(receipt).toMatchObject({ metadata: { kind: "quarantined", count: 1 }, rows: 0 })
  })
)
