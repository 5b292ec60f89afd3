import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type JournalFiles, nodeFiles } from "../../src/audit/journal/JournalFiles.ts"
import { anEvent } from "../support/AuditEvents.ts"
import { journaled, journalFolder } from "../support/Journals.ts"
import { gatekeeperDatabase, isConserved, openTrail, recordMany, settled, until, withLogs } from "../support/Trail.ts"

/** The status of a disk that hangs; the time since when follows. */
const hanging = "has not completed a sync since "

/** A disk that completes no sync while it hangs, and all of them afterwards. */
const hangingDisk = () => {
  const waiting: Array<() => void> = []
  const disk = { hangs: false }
  const files: JournalFiles = {
    ...nodeFiles,
    fdatasync: async (fd) => {
      if (disk.hangs) await new Promise<void>((resolve) => waiting.push(resolve))
      await nodeFiles.fdatasync(fd)
    }
  }
  const heal = () => {
    disk.hangs = false
    for (const resolve of waiting.splice(0)) resolve()
  }
  return { disk, files, heal }
}

it.scopedLive.each(["fsync", "journal"] as const)(
  "a disk that hangs is reported in the status and the log until it answers (%s)",
  (mode) =>
    withLogs((lines) =>
      Effect.gen(function* () {
        const url = yield* gatekeeperDatabase
        const { disk, files, heal } = hangingDisk()
        const trail = yield* openTrail(url, {
          ...journaled(yield* journalFolder, mode, { files, flushInterval: "100 millis" }),
          commitDeadline: "300 millis"
        })
        yield* trail.log.record(anEvent)
        const before = Date.now()
        disk.hangs = true
        const first = yield* Effect.either(trail.log.record(anEvent))
        expect(first._tag).toBe(mode === "fsync" ? "Left" : "Right")
        // Slow is not yet hanging.
        expect(yield* trail.log.status).toMatchObject({ accepting: true, journal: { problem: null } })
        const status = yield* until(trail.log, ({ journal }) => journal?.problem?.includes(hanging) === true)
        expect(status.accepting).toBe(mode === "journal")
        const since = Date.parse(status.journal?.problem?.split(hanging)[1]?.split(" ", 1)[0] ?? "")
        expect(since).toBeGreaterThanOrEqual(before)
        expect(since).toBeLessThanOrEqual(Date.now() - 3_000)
        const { offered, refused } = status.counters

        if (mode === "fsync") {
          const refusal = yield* Effect.flip(trail.log.record(anEvent))
          expect(refusal).toMatchObject({ reason: "behind", message: expect.stringContaining("disk of GRAVITAS_HOME") })
          // No event, and so no other that takes it back.
          expect((yield* trail.log.status).counters).toMatchObject({ offered: offered + 1, refused: refused + 1 })
          expect(yield* trail.log.accepting).toBe(false)
        } else {
          yield* recordMany(trail.log, 5)
          expect((yield* trail.log.status).counters).toMatchObject({ offered: offered + 5, refused })
          expect(yield* trail.log.accepting).toBe(true)
        }
        const told = () => lines.filter((line) => line.startsWith("ERROR") && line.includes("are not on the disk"))
        yield* until(trail.log, () => told().length > 0)
        yield* Effect.sleep("1500 millis")
        expect(told()).toHaveLength(1)

        heal()
        yield* until(trail.log, ({ accepting, journal }) => accepting && journal?.problem === null)
        yield* trail.log.record(anEvent)
        yield* until(trail.log, () => lines.some((line) => line.includes("disk answers again")))
        expect(isConserved(yield* settled(trail.log))).toBe(true)
      })
    ),
  60_000
)

it.scopedLive(
  "where only some results wait for the disk, only these are refused while it hangs",
  () =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const { disk, files, heal } = hangingDisk()
      const trail = yield* openTrail(url, {
        ...journaled(yield* journalFolder, "journal", { files, flushInterval: "100 millis" }),
        durability: { default: "journal", byResult: { DENIED: "fsync" } }
      })
      disk.hangs = true
      yield* trail.log.record(anEvent)
      yield* until(trail.log, ({ journal }) => journal?.problem?.includes(hanging) === true)
      yield* trail.log.record(anEvent)
      const refusal = yield* Effect.flip(trail.log.record({ ...anEvent, result: "DENIED" }))
      expect(refusal.reason).toBe("behind")
      expect(yield* trail.log.accepting).toBe(true)
      heal()
      yield* until(trail.log, ({ journal }) => journal?.problem === null)
      yield* trail.log.record({ ...anEvent, result: "DENIED" })
    }),
  60_000
)
