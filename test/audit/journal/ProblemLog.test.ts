import * as Fs from "node:fs/promises"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { type JournalFiles, nodeFiles } from "../../../src/audit/journal/JournalFiles.ts"
import { isLogDue } from "../../../src/audit/journal/JournalStatus.ts"
import { anEvent } from "../../support/AuditEvents.ts"
import { journaled, journalFolder, leaveJournal } from "../../support/Journals.ts"
import { gatekeeperDatabase, openTrail, recordMany, settled, until, withLogs } from "../../support/Trail.ts"

const problem = { detail: "EIO", since: 0 }
const loggedAt = 10_000

it.each([
  [null, undefined, false],
  [problem, undefined, true],
  [problem, loggedAt, false],
  [problem, 20_000 - 60_000, true],
  [null, loggedAt, true]
] as const)(
  "a problem is logged when it begins, each minute, and when it is over (%j, logged: %j)",
  (now, before, isDue) => {
    expect(isLogDue(now, before, 20_000)).toBe(isDue)
  }
)

it.scopedLive(
  "a journal that cannot be read is reported in the status and the log, with the reason, until it can be read",
  () =>
    withLogs((lines) =>
      Effect.gen(function* () {
        const url = yield* gatekeeperDatabase
        const disk = { isBlind: true }
        const files: JournalFiles = {
          ...nodeFiles,
          read: (path, bytes, length, position) =>
            disk.isBlind
              ? Promise.reject(new Error("EIO: i/o error, read"))
              : nodeFiles.read(path, bytes, length, position)
        }
        const gate = yield* Effect.makeLatch(false)
        const trail = yield* openTrail(
          url,
          { ...journaled(yield* journalFolder, "journal", { files }), queueCapacity: 10, batchSize: 20 },
          (store) => ({ ...store, append: (rows, options) => Effect.zipRight(gate.await, store.append(rows, options)) })
        )
        yield* recordMany(trail.log, 50)
        yield* gate.open
        const status = yield* until(trail.log, ({ journal }) => journal?.read_problem?.includes("EIO") === true)
        expect(status.depth).toBeGreaterThan(0)
        yield* Effect.sleep("2500 millis")
        expect(
          lines.filter((line) => line.startsWith("ERROR") && line.includes("An audit journal cannot be read since"))
        ).toHaveLength(1)
        disk.isBlind = false
        yield* settled(trail.log)
        yield* until(trail.log, ({ journal }) => journal?.read_problem === null)
        yield* Effect.sleep("1500 millis")
        expect(lines.filter((line) => line.includes("can be read again"))).toHaveLength(1)
      })
    ),
  60_000
)

it.scopedLive(
  "an orphaned journal that cannot be read is reported too",
  () =>
    withLogs((lines) =>
      Effect.gen(function* () {
        const url = yield* gatekeeperDatabase
        const directory = yield* journalFolder
        yield* leaveJournal(url, directory, 6_000)
        const disk = { isBlind: false }
        const files: JournalFiles = {
          ...nodeFiles,
          read: (path, bytes, length, position) =>
            disk.isBlind
              ? Promise.reject(new Error("EIO: i/o error, read"))
              : nodeFiles.read(path, bytes, length, position)
        }
        const trail = yield* openTrail(
          url,
          { ...journaled(directory, "journal", { files }), batchSize: 20 },
          (store) => ({
            ...store,
            append: (rows, options) =>
              Effect.tap(store.append(rows, options), () =>
                Effect.sync(() => {
                  if (lines.every((line) => !line.includes("An audit journal cannot be read since")))
                    disk.isBlind = true
                })
              )
          })
        )
        const status = yield* until(
          trail.log,
          ({ journal }) => journal?.others.adopting?.read_problem?.includes("EIO") === true
        )
        expect(status.journal?.read_problem).toBeNull()
        yield* until(trail.log, () => lines.some((line) => line.includes("An audit journal cannot be read since")))
        disk.isBlind = false
        yield* until(trail.log, ({ journal }) => journal?.others.adopted === 1)
      })
    ),
  60_000
)

it.scopedLive(
  "the report ends when nothing is left to read, even if the journal vanished meanwhile",
  () =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const gate = yield* Effect.makeLatch(false)
      const trail = yield* openTrail(
        url,
        {
          ...journaled(yield* journalFolder, "journal", { flushInterval: "300 millis" }),
          queueCapacity: 10,
          batchSize: 20
        },
        (store) => ({ ...store, append: (rows, options) => Effect.zipRight(gate.await, store.append(rows, options)) })
      )
      yield* recordMany(trail.log, 50)
      yield* Effect.sleep("1 second")
      const { journal } = yield* trail.log.status
      yield* Effect.promise(() => Fs.rm(journal?.path ?? "", { recursive: true }))
      yield* gate.open
      yield* settled(trail.log)
      // Until there is a directory again.
      yield* trail.log.record(anEvent).pipe(Effect.retry(Schedule.spaced("50 millis")))
      yield* settled(trail.log)
      yield* until(trail.log, (status) => status.journal?.read_problem === null)
    }),
  60_000
)
