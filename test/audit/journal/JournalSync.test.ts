import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type JournalFiles, nodeFiles } from "../../../src/audit/journal/JournalFiles.ts"
import { eventually } from "../../support/Eventually.ts"
import { appendMany, journalFolder, jsonOf, live, synced } from "../../support/JournalFixture.ts"

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
  eventually(Effect.sync(accept), (accepted) => accepted, { every: "2 millis", within: "5 seconds" })

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, place) => from + place)

describe("writing through", () => {
  it.scopedLive(
    "is one for all callers that wait, the next one for later callers, and does not block the event loop",
    () =>
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

  it.scopedLive("starts early when many bytes wait, and again after as many more", () =>
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
      const { journal, quota } = yield* live({ directory: yield* journalFolder, files, maxBytes: 2 ** 30 })
      const json = JSON.stringify({ text: "x".repeat(200_000) })
      let last = 0
      while (last < 1_000 && journal.append(last + 1, json) === undefined) last += 1
      expect(last).toBeGreaterThan(250)
      expect(journal.status()).toMatchObject({
        problem: { reason: "failing", detail: expect.stringContaining("wait for a sync to the disk") }
      })
      expect(journal.status().unsyncedBytes).toBeLessThanOrEqual(64 * 2 ** 20)
      const waiting = yield* Effect.fork(synced(journal))
      yield* until(() => started.length === 1)
      free()
      expect(yield* Fiber.join(waiting)).toBeUndefined()
      expect(journal.append(last + 1, json)).toBeUndefined()
      expect(journal.status().problem).toBeNull()
      journal.settle(numbers(1, last + 1).map((seq) => ({ seq })))
      expect(quota.used()).toBeLessThan(20 * 2 ** 20)
    })
  )
})
