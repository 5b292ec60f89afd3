import * as Fs from "node:fs/promises"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { faultyDisk } from "../../support/FaultyDisk.ts"
import {
  adopted,
  appendMany,
  journalFolder,
  jsonOf,
  live,
  readAll,
  segmentsIn,
  synced
} from "../../support/JournalFixture.ts"

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, place) => from + place)

const seqsOf = (reader: Parameters<typeof readAll>[0]) =>
  Effect.map(readAll(reader), ({ frames }) => {
    for (const { json, seq } of frames) expect(json).toBe(jsonOf(seq))
    return frames.map(({ seq }) => seq)
  })

/** As the system may do with pages that it could not write: what it answers for them is zeros. */
const forgetAfter = (path: string, offset: number) =>
  Effect.promise(async () => {
    const bytes = await Fs.readFile(path)
    await Fs.writeFile(path, bytes.fill(0, offset))
  })

describe("a failed fdatasync", () => {
  it.scopedLive("is made up for in another file; what the system forgets of the old ones is not missed", () =>
    Effect.gen(function* () {
      const { faults, files } = faultyDisk()
      const { die, journal, quota } = yield* live({ directory: yield* journalFolder, files, segmentBytes: 3_000 })
      appendMany(journal, 7)
      expect(yield* synced(journal)).toBeUndefined()
      const kept = (yield* segmentsIn(journal.path))[0]?.size ?? 0
      // Over several files, of which the first is partly on the disk.
      appendMany(journal, 33, 8)
      journal.settle([{ seq: 9 }, { seq: 30 }])
      const before = yield* segmentsIn(journal.path)
      expect(before.length).toBeGreaterThan(2)
      faults.fdatasync = 1
      expect(yield* synced(journal)).toBeUndefined()
      expect(journal.status()).toMatchObject({ problem: null, unsyncedBytes: 0, pendingFrames: 38 })
      const after = yield* segmentsIn(journal.path)
      expect(after.map(({ path }) => path)).toContain(before[0]?.path)
      expect(after.length).toBe(2)
      expect(quota.used()).toBe(after.reduce((sum, { size }) => sum + size, 0))
      yield* forgetAfter(before[0]?.path ?? "", kept)
      appendMany(journal, 5, 41)
      expect(yield* seqsOf(journal.readAfter(0))).toEqual(numbers(1, 45))
      yield* die
      const { dead } = yield* adopted(journal.path)
      expect(yield* seqsOf(dead.readAfter(0))).toEqual(numbers(1, 45))
      expect(dead.scan).toMatchObject({ frames: 45, quarantined: 0, gaps: [] })
      dead.settle(numbers(1, 45).map((seq) => ({ seq })))
      expect(dead.status()).toMatchObject({ pendingFrames: 0, bytes: 0 })
    })
  )

  it.scopedLive("of one file does not let a later one be read first", () =>
    Effect.gen(function* () {
      const { faults, files } = faultyDisk()
      const { die, journal } = yield* live({ directory: yield* journalFolder, files, segmentBytes: 3_000 })
      const reader = journal.readAfter(0)
      appendMany(journal, 10)
      expect((yield* reader.next(6)).frames.map(({ seq }) => seq)).toEqual(numbers(1, 6))
      // Neither the file nor the one in its place is to be had, and events go on into others.
      faults.fdatasync = 1
      faults.create = 1
      expect(yield* synced(journal)).toContain("create")
      expect(journal.status().problem).toMatchObject({ reason: "failing" })
      appendMany(journal, 30, 11)
      const before = yield* segmentsIn(journal.path)
      expect(before.length).toBeGreaterThan(2)
      expect(yield* synced(journal)).toBeUndefined()
      expect(journal.status()).toMatchObject({ problem: null, unsyncedBytes: 0, pendingFrames: 40 })
      for (const { path } of (yield* segmentsIn(journal.path)).slice(0, -1)) yield* forgetAfter(path, 0)
      expect(yield* seqsOf(reader)).toEqual(numbers(7, 40))
      expect(yield* seqsOf(journal.readAfter(0))).toEqual(numbers(1, 40))
      yield* die
      const { dead } = yield* adopted(journal.path)
      expect(yield* seqsOf(dead.readAfter(0))).toEqual(numbers(1, 40))
    })
  )

  it.scopedLive("that fails in the new file too is told to those who wait, and tried again with the next", () =>
    Effect.gen(function* () {
      const { faults, files, happened } = faultyDisk()
      const { die, journal, quota } = yield* live({ directory: yield* journalFolder, files })
      appendMany(journal, 10)
      faults.fdatasync = 2
      const told = yield* Effect.all([synced(journal), synced(journal)], { concurrency: "unbounded" })
      expect(told).toEqual([expect.stringContaining("EIO"), expect.stringContaining("EIO")])
      expect(journal.status().problem).toMatchObject({
        reason: "failing",
        detail: expect.stringContaining(journal.path)
      })
      // The process has it all the same, and goes on; failures do not pile up files.
      appendMany(journal, 5, 11)
      faults.fdatasync = 20
      for (const _try of numbers(1, 10)) expect(yield* synced(journal)).toContain("EIO")
      expect(happened.fdatasync).toBe(22)
      expect((yield* segmentsIn(journal.path)).length).toBe(1)
      expect(yield* synced(journal)).toBeUndefined()
      expect(journal.status()).toMatchObject({ problem: null, pendingFrames: 15, unsyncedBytes: 0 })
      expect(quota.used()).toBe((yield* segmentsIn(journal.path)).reduce((sum, { size }) => sum + size, 0))
      yield* die
      const { dead } = yield* adopted(journal.path)
      expect(yield* seqsOf(dead.readAfter(0))).toEqual(numbers(1, 15))
    })
  )

  it.scopedLive("of the directory is told too, and once it is there nothing is owed", () =>
    Effect.gen(function* () {
      const { faults, files } = faultyDisk()
      const { journal } = yield* live({ directory: yield* journalFolder, files })
      appendMany(journal, 3)
      faults.syncDirectory = 2
      expect(yield* synced(journal)).toContain("EIO")
      expect(yield* synced(journal)).toBeUndefined()
      expect(journal.status()).toMatchObject({ problem: null, unsyncedBytes: 0 })
    })
  )

  it.scopedLive("at the end leaves a journal that does not claim to have ended well", () =>
    Effect.gen(function* () {
      const { faults, files } = faultyDisk()
      const { journal } = yield* live({ directory: yield* journalFolder, files })
      appendMany(journal, 3)
      faults.fdatasync = 2
      yield* journal.end({ remove: false })
      expect(journal.append(4, "{}")).toMatchObject({ reason: "failing", detail: expect.stringContaining("closed") })
      const { dead } = yield* adopted(journal.path)
      expect(dead).toMatchObject({ ended: false, scan: { pending: 3 } })
    })
  )

  it.scopedLive("leaves no trace where the end succeeds", () =>
    Effect.gen(function* () {
      const { journal } = yield* live({ directory: yield* journalFolder })
      appendMany(journal, 3)
      yield* journal.end({ remove: false })
      const { dead } = yield* adopted(journal.path)
      expect(dead).toMatchObject({ ended: true, counts: { lastSeq: 3 }, scan: { pending: 3 } })
    })
  )
})
