import * as Fs from "node:fs/promises"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { makeUnsyncedFrames } from "../../../src/audit/journal/Frame.ts"
import * as Segments from "../../../src/audit/journal/Segments.ts"
import * as SegmentWriter from "../../../src/audit/journal/SegmentWriter.ts"
import { faultyDisk } from "../../support/FaultyDisk.ts"
import {
  adopted,
  appendMany,
  bytesIn,
  identityOf,
  journalFolder,
  jsonOf,
  live,
  readAll,
  segmentsIn,
  synced
} from "../../support/JournalFixture.ts"

describe("a segment that is rewritten because its sync failed", () => {
  const half = Effect.gen(function* () {
    const disk = faultyDisk()
    const life = yield* live({ directory: yield* journalFolder, files: disk.files })
    const safe = appendMany(life.journal, 3)
    expect(yield* synced(life.journal)).toBeUndefined()
    const [file] = yield* segmentsIn(life.journal.path)
    const unsafe = appendMany(life.journal, 3, 4)
    return { ...life, disk, safe, unsafe, path: file?.path ?? "", kept: file?.size ?? 0 }
  })

  it.scopedLive("gives a reader each event once, wherever it had come to", () =>
    Effect.gen(function* () {
      for (const read of [0, 1, 3, 4, 6]) {
        const { disk, journal, safe, unsafe } = yield* half
        const reader = journal.readAfter(0)
        const before = read === 0 ? [] : (yield* reader.next(read)).frames
        disk.faults.fdatasync = 1
        expect(yield* synced(journal)).toBeUndefined()
        const later = appendMany(journal, 2, 7)
        const after = yield* readAll(reader)
        expect([...before, ...after.frames]).toEqual([...safe, ...unsafe, ...later])
        expect(after.quarantined).toBe(0)
      }
    })
  )

  it.scopedLive.each([
    [0, 1 / 4],
    [1 / 4, 1 / 2],
    [1 / 2, 1]
  ] as const)("is not missed where it was lost, and not mixed with the new one (%d to %d)", ([from, to]) =>
    Effect.gen(function* () {
      const { die, disk, journal, kept, path, safe, unsafe } = yield* half
      const { size } = yield* Effect.promise(() => Fs.stat(path))
      disk.faults.fdatasync = 1
      expect(yield* synced(journal)).toBeUndefined()
      yield* Effect.promise(async () => {
        const bytes = await Fs.readFile(path)
        const at = (share: number) => kept + Math.floor((size - kept) * share)
        await Fs.writeFile(path, bytes.fill(0, at(from), at(to)))
      })
      yield* die
      const { dead } = yield* adopted(journal.path)
      expect((yield* readAll(dead.readAfter(0))).frames).toEqual([...safe, ...unsafe])
      expect(dead.scan).toMatchObject({ frames: 6, quarantined: 0, tornBytes: 0, gaps: [] })
    })
  )

  it.scopedLive("counts as long as the new one is not whole, though nothing of that can be removed", () =>
    Effect.gen(function* () {
      const { die, disk, journal, safe, unsafe } = yield* half
      disk.faults.fdatasync = 1
      disk.faults.rename = 1
      disk.faults.unlink = 1
      expect(yield* synced(journal)).toContain("EIO")
      const names = yield* Effect.promise(() => Fs.readdir(journal.path))
      expect(names.filter((name) => name.endsWith(".part"))).toHaveLength(1)
      const later = appendMany(journal, 2, 7)
      yield* die
      const { dead, quota } = yield* adopted(journal.path)
      expect((yield* readAll(dead.readAfter(0))).frames).toEqual([...safe, ...unsafe, ...later])
      expect(quota.used()).toBe(yield* bytesIn(journal.path))
      dead.settle([...safe, ...unsafe, ...later])
      yield* dead.remove
      expect(yield* Effect.promise(() => Fs.readdir(journal.path).catch(() => "gone"))).toBe("gone")
    })
  )
})

it.scopedLive("an event in characters of several bytes makes room for itself as any other does", () =>
  Effect.gen(function* () {
    const { journal, quota } = yield* live({ directory: yield* journalFolder, maxBytes: 6_000, segmentBytes: 5_900 })
    let last = 0
    while (quota.used() < 4_700) appendMany(journal, 1, ++last)
    journal.settle(Array.from({ length: last }, (_, place) => ({ seq: place + 1 })))
    const json = JSON.stringify({ text: "漢".repeat(500) })
    // By its characters it fits in what is left, by its bytes it does not.
    expect(quota.used() + json.length).toBeLessThan(quota.maxBytes - 100)
    expect(quota.used() + Buffer.byteLength(json)).toBeGreaterThan(quota.maxBytes)
    expect(journal.append(last + 1, json)).toBeUndefined()
    expect(quota.used()).toBe(yield* bytesIn(journal.path))
  })
)

it.scopedLive(
  "a full journal is not ready when its settled segment is removed and the next one cannot be created",
  () =>
    Effect.gen(function* () {
      const { files, faults } = faultyDisk()
      const quota = Segments.makeDiskQuota(6_000)
      const segments = Segments.make({ files, quota })
      const path = yield* journalFolder
      yield* Effect.promise(() => Fs.mkdir(path, { recursive: true }))
      const identity = identityOf(crypto.randomUUID())
      const unsynced = makeUnsyncedFrames(2 ** 20)
      const writer = SegmentWriter.make({ path, identity, files, quota, segmentBytes: 20_000, segments, unsynced })
      while (writer.append(writer.lastSeq() + 1, jsonOf(writer.lastSeq() + 1, 700)) === undefined);
      expect(writer.makeReady(1_000)).toBe(false)
      segments.settle(Array.from({ length: writer.lastSeq() }, (_, place) => ({ seq: place + 1 })))
      faults.create = 1
      expect(writer.makeReady(1_000)).toBe(false)
      expect(segments.all()).toEqual([])
      expect(writer.makeReady(1_000)).toBe(true)
      expect(writer.append(writer.lastSeq() + 1, jsonOf(1, 700))).toBeUndefined()
      writer.close()
    })
)

it.scopedLive("a closed writer appends nothing, also when its directory exists again", () =>
  Effect.gen(function* () {
    const { files } = faultyDisk()
    const quota = Segments.makeDiskQuota(60_000)
    const segments = Segments.make({ files, quota })
    const path = yield* journalFolder
    yield* Effect.promise(() => Fs.mkdir(path, { recursive: true }))
    const identity = identityOf(crypto.randomUUID())
    const unsynced = makeUnsyncedFrames(2 ** 20)
    const writer = SegmentWriter.make({ path, identity, files, quota, segmentBytes: 20_000, segments, unsynced })
    const isClosed = { reason: "failing", detail: expect.stringContaining("the journal is closed") }
    writer.suspend()
    writer.close()
    writer.resume()
    expect(writer.append(1, jsonOf(1))).toEqual(isClosed)
    writer.suspend()
    writer.resume()
    expect(writer.append(1, jsonOf(1))).toEqual(isClosed)
    expect(yield* segmentsIn(path)).toEqual([])
  })
)

it.scopedLive("segments that became small on a full disk grow again once there is room, up to their first size", () =>
  Effect.gen(function* () {
    const { files, faults } = faultyDisk()
    const quota = Segments.makeDiskQuota(2 ** 30)
    const segments = Segments.make({ files, quota })
    const path = yield* journalFolder
    yield* Effect.promise(() => Fs.mkdir(path, { recursive: true }))
    const identity = identityOf(crypto.randomUUID())
    const unsynced = makeUnsyncedFrames(2 ** 24)
    const writer = SegmentWriter.make({ path, identity, files, quota, segmentBytes: 300_000, segments, unsynced })
    const appendBytes = (bytes: number) => {
      for (const last = quota.used() + bytes; quota.used() < last; ) {
        expect(writer.append(writer.lastSeq() + 1, jsonOf(1, 2_000))).toBeUndefined()
      }
    }
    appendBytes(100_000)
    faults.ENOSPC = 1
    expect(writer.append(writer.lastSeq() + 1, jsonOf(1, 2_000))).toMatchObject({ reason: "failing" })
    appendBytes(2_000_000)
    writer.close()
    const sizes = (yield* segmentsIn(path)).map(({ size }) => Math.round(size / 10_000))
    // In 10 kB: the one on the full disk, one of 64 KiB, and each later one twice as large, up to the first size.
    expect(sizes.slice(0, 7)).toEqual([10, 6, 13, 26, 30, 30, 30])
  })
)
