import * as Fs from "node:fs"
import * as Path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type JournalFiles, nodeFiles } from "../../../src/audit/journal/JournalFiles.ts"
import { eventually } from "../../support/Eventually.ts"
import {
  adopted,
  appendMany,
  bytesIn,
  journalFolder,
  jsonOf,
  live,
  readAll,
  synced
} from "../../support/JournalFixture.ts"
import { skipBecause } from "../../support/SkipBecause.ts"
import { isMountable, notMountable, smallDisk } from "../../support/SmallDisk.ts"

/** Appends from `from` on until the journal refuses; gives the numbers that it took, and why it refused. */
const fill = (journal: Parameters<typeof appendMany>[0], from: number) => {
  for (let seq = from; seq < from + 100_000; seq++) {
    const problem = journal.append(seq, jsonOf(seq, 700))
    if (problem !== undefined) return { last: seq - 1, problem }
  }
  throw new Error("it never refused")
}

const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, place) => ({ seq: from + place }))

const seqs = (reader: Parameters<typeof readAll>[0]) =>
  Effect.map(readAll(reader), ({ frames }) => frames.map(({ seq }) => seq))

describe("a journal at its bound", () => {
  it.scopedLive("refuses, says so, and takes events again as files become needless", () =>
    Effect.gen(function* () {
      const { journal, quota } = yield* live({ directory: yield* journalFolder, maxBytes: 40_000 })
      const { last, problem } = fill(journal, 1)
      expect(problem.reason).toBe("full")
      expect(problem.detail).toContain("of 40000 bytes are used")
      expect(quota.used()).toBeGreaterThan(39_000)
      expect(quota.used()).toBeLessThanOrEqual(40_000)
      expect(quota.used()).toBe(yield* bytesIn(journal.path))
      expect(journal.status().problem).toMatchObject({ reason: "full" })
      journal.settle(upTo(1, Math.ceil(last / 2)))
      appendMany(journal, 5, last + 1)
      expect(journal.status().problem).toBeNull()
      expect((yield* seqs(journal.readAfter(Math.ceil(last / 2)))).at(-1)).toBe(last + 5)
    })
  )

  it.scopedLive("is never full for ever: not with one file, not with events as large as files", () =>
    Effect.gen(function* () {
      const { journal, quota } = yield* live({
        directory: yield* journalFolder,
        maxBytes: 6_000,
        segmentBytes: 5_900
      })
      let from = 1
      for (const _round of [1, 2, 3, 4, 5]) {
        const { last } = fill(journal, from)
        expect(last).toBeGreaterThan(from)
        journal.settle(upTo(from, last))
        from = last + 1
      }
      expect(journal.append(from, jsonOf(from, 5_000))).toBeUndefined()
      journal.settle([{ seq: from }])
      expect(journal.append(from + 1, jsonOf(from + 1, 50_000))).toMatchObject({ reason: "full" })
      expect(journal.append(from + 1, jsonOf(from + 1, 5_000))).toBeUndefined()
      expect(quota.used()).toBe(yield* bytesIn(journal.path))
    })
  )
})

describe("a disk that is really full", () => {
  it.scopedLive("is told, costs nothing that was taken, and is used again when there is space", (context) =>
    Effect.gen(function* () {
      if (!isMountable) return skipBecause(context, notMountable)
      const disk = yield* smallDisk("256k")
      const { die, journal, quota } = yield* live({
        directory: Path.join(disk, "journal"),
        maxBytes: 2 ** 30,
        segmentBytes: 40_000,
        flushInterval: "10 millis"
      })
      const ballast = Path.join(disk, "ballast")
      Fs.writeFileSync(ballast, Buffer.alloc(60_000))
      const { last, problem } = fill(journal, 1)
      expect(problem).toMatchObject({ reason: "failing", detail: expect.stringContaining("ENOSPC") })
      expect(last).toBeGreaterThan(100)
      // It is refused again and again, and leaves nothing behind; what became of it is written down all the same.
      for (let refused = 1; refused <= 50; refused++) {
        expect(fill(journal, last + 1)).toMatchObject({ last, problem: { reason: "failing" } })
        journal.note({ lastSeq: last, refused, shed: 0 })
      }
      expect(quota.used()).toBe(yield* bytesIn(journal.path))
      expect(yield* seqs(journal.readAfter(0))).toEqual(upTo(1, last).map(({ seq }) => seq))

      // Space becomes free: that is noticed without an event.
      Fs.rmSync(ballast)
      yield* Effect.sleep("100 millis")
      expect(journal.status().problem).toBeNull()
      appendMany(journal, 20, last + 1)
      const full = fill(journal, last + 21)
      // The drain makes space.
      journal.settle(upTo(1, last))
      appendMany(journal, 50, full.last + 1)
      expect(yield* synced(journal)).toBeUndefined()
      expect(quota.used()).toBe(yield* bytesIn(journal.path))
      yield* die

      const { dead, quota: taken } = yield* adopted(journal.path)
      expect(dead.counts).toEqual({ lastSeq: full.last + 50, refused: 50, shed: 0 })
      expect(taken.used()).toBe(quota.used())
      const left = yield* seqs(dead.readAfter(dead.acknowledged))
      expect(left).toEqual(upTo(last + 1, full.last + 50).map(({ seq }) => seq))
      dead.settle(left.map((seq) => ({ seq })))
      yield* dead.remove
      expect(taken.used()).toBe(0)
    })
  )

  it.scopedLive("is used again once all events are settled, though one segment of settled events fills it", (context) =>
    Effect.gen(function* () {
      if (!isMountable) return skipBecause(context, notMountable)
      const disk = yield* smallDisk("256k")
      const { journal, quota } = yield* live({ directory: Path.join(disk, "journal"), maxBytes: 2 ** 30 })
      const { last, problem } = fill(journal, 1)
      expect(problem.detail).toContain("ENOSPC")
      expect(journal.status().segments).toBe(1)
      journal.settle(upTo(1, last - 1))
      expect(fill(journal, last + 1).last).toBe(last)
      journal.settle([{ seq: last }])
      // Later segments are smaller, so that the settled ones make room before the disk is full again.
      const later = fill(journal, last + 1)
      expect(later.last - last).toBeGreaterThan(100)
      expect(journal.status().segments).toBeGreaterThan(2)
      journal.settle(upTo(last + 1, later.last - 100))
      appendMany(journal, 50, later.last + 1)
      expect(journal.status().problem).toBeNull()
      expect(quota.used()).toBe(yield* bytesIn(journal.path))
      expect((yield* seqs(journal.readAfter(later.last - 100))).at(-1)).toBe(later.last + 50)
    })
  )

  it.scopedLive("is used again without an event, too, and by a journal whose sync the full disk refused", (context) =>
    Effect.gen(function* () {
      if (!isMountable) return skipBecause(context, notMountable)
      const disk = yield* smallDisk("256k")
      let isFull = false
      const files: JournalFiles = {
        ...nodeFiles,
        fdatasync: (fd) =>
          isFull ? Promise.reject(new Error("ENOSPC: no space left on device")) : nodeFiles.fdatasync(fd)
      }
      const directory = Path.join(disk, "journal")
      const { journal } = yield* live({ directory, maxBytes: 2 ** 30, flushInterval: "10 millis", files })
      isFull = true
      const { last } = fill(journal, 1)
      yield* eventually(Effect.sync(journal.status), ({ unsyncedBytes }) => unsyncedBytes > 0)
      isFull = false
      journal.settle(upTo(1, last))
      yield* eventually(
        Effect.sync(journal.status),
        ({ problem, unsyncedBytes }) => problem === null && unsyncedBytes === 0
      )
    })
  )
})
