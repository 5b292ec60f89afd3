import * as Fs from "node:fs/promises"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type JournalFiles, nodeFiles } from "../../../src/audit/journal/JournalFiles.ts"
import { faultyDisk } from "./FaultyDisk.ts"
import { adopted, appendMany, journalFolder, jsonOf, live, readAll, segmentsIn, synced } from "./Lives.ts"

/** A disk that answers each fdatasync of a segment when it is told to, and from `free` on by itself. */
const slowDisk = () => {
  const started: Array<() => void> = []
  const stateFiles = new Set<number>()
  let isFree = false
  const files: JournalFiles = {
    ...nodeFiles,
    create: (path) => {
      const fd = nodeFiles.create(path)
      if (path.endsWith("state")) stateFiles.add(fd)
      else stateFiles.delete(fd)
      return fd
    },
    fdatasync: async (fd) => {
      if (!isFree && !stateFiles.has(fd)) await new Promise<void>((resolve) => started.push(resolve))
      await nodeFiles.fdatasync(fd)
    }
  }
  const answer = () => {
    for (const resolve of started.splice(0)) resolve()
  }
  const free = () => {
    isFree = true
    answer()
  }
  return { files, started, answer, free }
}

const until = (accept: () => boolean) =>
  Effect.repeat(Effect.sleep("2 millis"), { until: accept }).pipe(Effect.timeout("5 seconds"), Effect.orDie)

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, place) => from + place)

const seqsOf = (reader: Parameters<typeof readAll>[0]) =>
  Effect.map(readAll(reader), ({ frames }) => {
    for (const { json, seq } of frames) expect(json).toBe(jsonOf(seq))
    return frames.map(({ seq }) => seq)
  })

describe("writing through", () => {
  it.scopedLive("is one for all who wait, the next for those who come meanwhile, and holds nobody up", () =>
    Effect.gen(function* () {
      const { answer, files, started } = slowDisk()
      const { journal } = yield* live({ directory: yield* journalFolder, files })
      const done: Array<string> = []
      for (const seq of numbers(1, 200)) {
        appendMany(journal, 1, seq)
        journal.whenSynced((problem) => done.push(problem?.detail ?? `first ${seq}`))
      }
      yield* until(() => started.length === 1)
      // The disk is at work, and events are taken meanwhile.
      appendMany(journal, 100, 201)
      for (const seq of numbers(201, 300)) journal.whenSynced(() => done.push(`second ${seq}`))
      yield* Effect.sleep("30 millis")
      expect([done.length, started.length]).toEqual([0, 1])
      answer()
      yield* until(() => started.length === 1)
      expect(done).toEqual(numbers(1, 200).map((seq) => `first ${seq}`))
      expect(journal.status().unsyncedBytes).toBeGreaterThan(100 * 100)
      answer()
      yield* until(() => done.length === 300)
      expect(journal.status().unsyncedBytes).toBe(0)
      // Nothing waits: the answer comes at once, and the disk has no work.
      journal.whenSynced(() => done.push("at once"))
      expect([done.at(-1), started.length]).toEqual(["at once", 0])
    })
  )

  it.scopedLive("happens by itself within a flush interval", () =>
    Effect.gen(function* () {
      const { journal } = yield* live({ directory: yield* journalFolder, flushInterval: "10 millis" })
      appendMany(journal, 10)
      expect(journal.status().unsyncedBytes).toBeGreaterThan(0)
      yield* until(() => journal.status().unsyncedBytes === 0)
    })
  )

  it.scopedLive("of much is one that nobody asked for, and the next when as much has come again", () =>
    Effect.gen(function* () {
      const { answer, files, started } = slowDisk()
      const { journal } = yield* live({
        directory: yield* journalFolder,
        files,
        maxBytes: 2 ** 30,
        segmentBytes: 2 ** 29
      })
      let last = 0
      const appendMegabytes = (number: number) => {
        for (let part = 0; part < number * 5; part++) {
          last += 1
          expect(journal.append(last, jsonOf(last, 210_000))).toBeUndefined()
        }
      }
      for (const _crossing of [1, 2]) {
        appendMegabytes(10)
        yield* Effect.sleep("30 millis")
        expect(started).toHaveLength(0)
        appendMegabytes(10)
        yield* until(() => started.length === 1)
        // More than enough waits still; what has come meanwhile is little.
        appendMegabytes(1)
        answer()
        yield* until(() => journal.status().unsyncedBytes < 2 ** 21)
        yield* Effect.sleep("50 millis")
        expect(started).toHaveLength(0)
      }
    })
  )

  it.scopedLive("that never ends is told by `append` before the memory is full of what waits for it", () =>
    Effect.gen(function* () {
      const { files, free, started } = slowDisk()
      const { journal, room } = yield* live({ directory: yield* journalFolder, files, maxBytes: 2 ** 30 })
      const json = JSON.stringify({ text: "x".repeat(200_000) })
      let last = 0
      while (last < 1_000 && journal.append(last + 1, json) === undefined) last += 1
      expect(last).toBeGreaterThan(250)
      expect(journal.status()).toMatchObject({
        problem: { reason: "failing", detail: expect.stringContaining("wait to be written through") }
      })
      expect(journal.status().unsyncedBytes).toBeLessThanOrEqual(64 * 2 ** 20)
      const waiting = yield* Effect.fork(synced(journal))
      yield* until(() => started.length === 1)
      free()
      expect(yield* Fiber.join(waiting)).toBeUndefined()
      expect(journal.append(last + 1, json)).toBeUndefined()
      expect(journal.status().problem).toBeNull()
      journal.settle(numbers(1, last + 1).map((seq) => ({ seq })))
      expect(room.used()).toBeLessThan(20 * 2 ** 20)
    })
  )
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
      const { die, journal, room } = yield* live({ directory: yield* journalFolder, files, segmentBytes: 3_000 })
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
      expect(room.used()).toBe(after.reduce((sum, { size }) => sum + size, 0))
      yield* forgetAfter(before[0]?.path ?? "", kept)
      appendMany(journal, 5, 41)
      expect(yield* seqsOf(journal.readAfter(0))).toEqual(numbers(1, 45))
      yield* die
      const { dead } = yield* adopted(journal.path)
      expect(yield* seqsOf(dead.readAfter(0))).toEqual(numbers(1, 45))
      expect(dead.survey).toMatchObject({ frames: 45, quarantined: 0, gaps: [] })
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
      const { die, journal, room } = yield* live({ directory: yield* journalFolder, files })
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
      expect(room.used()).toBe((yield* segmentsIn(journal.path)).reduce((sum, { size }) => sum + size, 0))
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
      expect(dead).toMatchObject({ ended: false, survey: { pending: 3 } })
    })
  )

  it.scopedLive("is none where the end goes well", () =>
    Effect.gen(function* () {
      const { journal } = yield* live({ directory: yield* journalFolder })
      appendMany(journal, 3)
      yield* journal.end({ remove: false })
      const { dead } = yield* adopted(journal.path)
      expect(dead).toMatchObject({ ended: true, counts: { lastSeq: 3 }, survey: { pending: 3 } })
    })
  )
})
