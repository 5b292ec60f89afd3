import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Journal from "../../../src/audit/journal/Journal.ts"
import { eventually } from "../../support/Eventually.ts"
import {
  adopted,
  appendMany,
  journalFolder,
  live,
  readAll,
  segmentsIn,
  synced,
  takeOver
} from "../../support/JournalFixture.ts"
import { withLogs } from "../../support/Trail.ts"

const isThere = (path: string) =>
  Effect.promise(() =>
    Fs.stat(path).then(
      () => true,
      () => false
    )
  )

const patience = { every: "10 millis", within: "5 seconds" } as const

const vanish = (path: string) => Effect.promise(() => Fs.rm(path, { recursive: true }))

const seqs = (journal: Journal.Journal) =>
  Effect.map(readAll(journal.readAfter(0)), ({ frames }) => frames.map(({ seq }) => seq))

it.scopedLive("a directory that vanishes is made again, with all that was not on the disk yet", () =>
  Effect.gen(function* () {
    const { die, journal, quota } = yield* live({
      directory: yield* journalFolder,
      segmentBytes: 3_000,
      flushInterval: "200 millis"
    })
    appendMany(journal, 20)
    expect(yield* synced(journal)).toBeUndefined()
    yield* vanish(journal.path)
    const late = appendMany(journal, 3, 21)
    yield* eventually(isThere(Path.join(journal.path, "state")), (there) => there, patience)
    yield* eventually(
      Effect.sync(() => journal.status()),
      ({ problem }) => problem === null,
      patience
    )
    const more = appendMany(journal, 2, 24)
    expect(yield* synced(journal)).toBeUndefined()
    expect(yield* seqs(journal)).toEqual([21, 22, 23, 24, 25])
    // Lost events are not waited for: a search of the table finds their numbers missing.
    expect(journal.status()).toMatchObject({ pendingFrames: 5, acknowledged: 20, unsyncedBytes: 0 })
    expect((yield* takeOver(journal.path)).outcome._tag).toBe("alive")
    yield* die
    const { dead, quota: taken } = yield* adopted(journal.path)
    expect(taken.used()).toBe(quota.used())
    const { frames } = yield* readAll(dead.readAfter(0))
    expect(frames).toEqual([...late, ...more])
  })
)

it.scopedLive("while its directory cannot be made, nothing is taken, and the status says why", () =>
  Effect.gen(function* () {
    const directory = yield* journalFolder
    const { journal, quota } = yield* live({ directory, flushInterval: "10 millis" })
    appendMany(journal, 3)
    yield* vanish(directory)
    yield* Effect.promise(() => Fs.writeFile(directory, "in the way"))
    yield* eventually(
      Effect.sync(() => journal.status()),
      ({ problem }) => problem?.detail.includes(directory) === true,
      patience
    )
    expect(journal.append(4, '{"seq":4}')).toMatchObject({
      reason: "failing",
      detail: expect.stringContaining("vanished")
    })
    yield* Effect.promise(() => Fs.rm(directory))
    yield* eventually(
      Effect.sync(() => journal.append(4, '{"seq":4}')),
      (problem) => problem === undefined,
      patience
    )
    expect(yield* synced(journal)).toBeUndefined()
    expect(journal.status().problem).toBeNull()
    expect((yield* seqs(journal)).at(-1)).toBe(4)
    journal.settle([1, 2, 3, 4].map((seq) => ({ seq })))
    yield* journal.end({ remove: true })
    expect(quota.used()).toBe(0)
    expect(yield* Effect.promise(() => Fs.readdir(directory))).toEqual([])
  })
)

it.scopedLive.each([
  { name: "with unsynced events", late: 3 },
  { name: "while all is synced", late: 0 }
])("a file that is cut from outside costs what was only in it, and no later event ($name)", ({ late }) =>
  withLogs((lines) =>
    Effect.gen(function* () {
      const { die, journal, quota } = yield* live({ directory: yield* journalFolder, flushInterval: "200 millis" })
      appendMany(journal, 5)
      expect(yield* synced(journal)).toBeUndefined()
      const [file] = yield* segmentsIn(journal.path)
      // As `logrotate` with `copytruncate` does.
      yield* Effect.promise(() => Fs.truncate(file?.path ?? "", 0))
      const kept = appendMany(journal, late, 6)
      const alarms = () => lines.filter((line) => line.startsWith("ERROR ALARM: the audit journal's file"))
      yield* eventually(Effect.sync(alarms), (found) => found.length > 0, patience)
      expect(alarms()).toEqual([
        expect.stringContaining(`Of the ${5 + late} events that the journal held, 5 are in no file`)
      ])
      const more = appendMany(journal, 4, 6 + late)
      expect(yield* synced(journal)).toBeUndefined()
      expect(yield* seqs(journal)).toEqual([...kept, ...more].map(({ seq }) => seq))
      // The bytes after the hole are kept, also those that are written again.
      const quarantined = late === 0 ? 0 : 1
      expect(alarms()[0]).toContain(late === 0 ? "Nothing is left in the file" : "00000001-")
      expect(journal.status()).toMatchObject({ problem: null, pendingFrames: late + 4, quarantined })
      yield* die
      const { dead, quota: taken } = yield* adopted(journal.path)
      expect(taken.used()).toBe(quota.used())
      expect((yield* readAll(dead.readAfter(0))).frames).toEqual([...kept, ...more])
      expect(dead.scan.quarantined).toBe(quarantined)
    })
  )
)

it.scopedLive("a file that is cut in the middle is left too, though it is as long as before after an append", () =>
  withLogs((lines) =>
    Effect.gen(function* () {
      const { die, journal } = yield* live({ directory: yield* journalFolder, flushInterval: "200 millis" })
      appendMany(journal, 5)
      expect(yield* synced(journal)).toBeUndefined()
      const [file] = yield* segmentsIn(journal.path)
      yield* Effect.promise(() => Fs.truncate(file?.path ?? "", (file?.size ?? 0) - 400))
      const kept = appendMany(journal, 3, 6)
      yield* eventually(
        Effect.sync(() => lines.filter((line) => line.includes("was cut by another program"))),
        (found) => found.length > 0,
        patience
      )
      expect(yield* synced(journal)).toBeUndefined()
      expect(journal.status()).toMatchObject({ problem: null, pendingFrames: 3, quarantined: 1 })
      yield* die
      const { dead } = yield* adopted(journal.path)
      expect((yield* readAll(dead.readAfter(0))).frames).toEqual(kept)
    })
  )
)

it.scopedLive(
  "a sync of a file that is cut fails, and a kill before the upkeep leaves its bytes in the quarantine",
  () =>
    Effect.gen(function* () {
      const { die, journal } = yield* live({ directory: yield* journalFolder })
      appendMany(journal, 5)
      expect(yield* synced(journal)).toBeUndefined()
      const [file] = yield* segmentsIn(journal.path)
      yield* Effect.promise(() => Fs.truncate(file?.path ?? "", 0))
      const frames = appendMany(journal, 3, 6)
      expect(yield* synced(journal)).toContain("another program cut")
      expect(journal.status()).toMatchObject({ problem: { reason: "failing" }, unsyncedBytes: expect.any(Number) })
      expect(journal.status().unsyncedBytes).toBeGreaterThan(0)
      yield* die
      const { dead } = yield* adopted(journal.path)
      expect(dead.scan).toMatchObject({ frames: 0, quarantined: 1, tornBytes: 0 })
      const folder = Path.join(Path.dirname(journal.path), "quarantine", Path.basename(journal.path))
      const [name = ""] = yield* Effect.promise(() => Fs.readdir(folder))
      const bytes = yield* Effect.promise(() => Fs.readFile(Path.join(folder, name), "utf8"))
      for (const { json } of frames) expect(bytes).toContain(json)
    })
)
