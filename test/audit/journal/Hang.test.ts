import * as Fs from "node:fs/promises"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type JournalFiles, nodeFiles } from "../../../src/audit/journal/JournalFiles.ts"
import { appendMany, journalFolder, live } from "../../support/JournalFixture.ts"

const never = () => new Promise<never>(() => {})

/** A disk that answers no more write-throughs once it is told so. */
const hangingDisk = () => {
  const disk = { hangs: false, isAsked: false }
  const files: JournalFiles = {
    ...nodeFiles,
    fdatasync: (fd) => {
      if (!disk.hangs) return nodeFiles.fdatasync(fd)
      disk.isAsked = true
      return never()
    }
  }
  return { disk, files }
}

it.scopedLive.each(["no end", "an end that is given up"] as const)(
  "a disk that hangs does not keep the process from ending (%s)",
  (before) =>
    Effect.gen(function* () {
      const { disk, files } = hangingDisk()
      const { die, journal } = yield* live({ directory: yield* journalFolder, files, flushInterval: "10 millis" })
      disk.hangs = true
      appendMany(journal, 3)
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => disk.isAsked })
      if (before === "an end that is given up") {
        yield* journal.end({ remove: false }).pipe(Effect.disconnect, Effect.timeoutOption("100 millis"))
      }
      const ended = yield* die.pipe(Effect.disconnect, Effect.timeoutOption("10 seconds"))
      expect(ended._tag).toBe("Some")
    }),
  20_000
)

it.scopedLive(
  "a directory that vanishes while its disk hangs does not keep the process from ending",
  () =>
    Effect.gen(function* () {
      const { disk, files } = hangingDisk()
      const { die, journal } = yield* live({ directory: yield* journalFolder, files, flushInterval: "10 millis" })
      disk.hangs = true
      appendMany(journal, 3)
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => disk.isAsked })
      yield* Effect.promise(() => Fs.rm(journal.path, { recursive: true }))
      yield* Effect.sleep("200 millis")
      const ended = yield* die.pipe(Effect.disconnect, Effect.timeoutOption("10 seconds"))
      expect(ended._tag).toBe("Some")
    }),
  20_000
)

it.scoped("a journal whose end was given up is not ended a second time with its scope", () =>
  Effect.gen(function* () {
    const { disk, files } = hangingDisk()
    const { die, journal } = yield* live({ directory: yield* journalFolder, files })
    disk.hangs = true
    appendMany(journal, 3)
    const end = yield* Effect.fork(journal.end({ remove: false }))
    yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 10))).pipe(
      Effect.repeat({ until: () => disk.isAsked })
    )
    yield* Fiber.interrupt(end)
    // The test's clock stands still: a second wait for the disk would be for ever.
    yield* die
  })
)

it.scopedLive(
  "a directory that is made again on a disk that hangs does not keep the process from ending",
  () =>
    Effect.gen(function* () {
      const disk = { hangs: false, isAsked: false }
      const files: JournalFiles = {
        ...nodeFiles,
        syncDirectory: (path) => {
          if (!disk.hangs) return nodeFiles.syncDirectory(path)
          disk.isAsked = true
          return never()
        }
      }
      const { die, journal } = yield* live({ directory: yield* journalFolder, files, flushInterval: "10 millis" })
      disk.hangs = true
      yield* Effect.promise(() => Fs.rm(journal.path, { recursive: true }))
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => disk.isAsked })
      const ended = yield* die.pipe(Effect.disconnect, Effect.timeoutOption("10 seconds"))
      expect(ended._tag).toBe("Some")
    }),
  20_000
)
