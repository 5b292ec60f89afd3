import * as Fs from "node:fs/promises"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type JournalFiles, nodeFiles } from "../../../src/audit/journal/JournalFiles.ts"
import { maxHeader } from "../../../src/audit/journal/SegmentHeader.ts"
import { failure, faultyDisk } from "../../support/FaultyDisk.ts"
import {
  adopted,
  appendMany,
  bytesIn,
  journalFolder,
  jsonOf,
  live,
  readAll,
  segmentsIn,
  synced
} from "../../support/JournalFixture.ts"

/** More than a header can name. */
const failures = 700

/** A disk that for a while neither takes a frame nor takes back what it wrote of it. */
const spoilingDisk = () => {
  const disk = { fails: false, longestHeader: 0 }
  const files: JournalFiles = {
    ...nodeFiles,
    write: (fd, bytes, offset, length, position) => {
      if (position === 0 && length !== 2_048 && length !== 4_096) {
        disk.longestHeader = Math.max(disk.longestHeader, length)
      }
      const written = nodeFiles.write(fd, bytes, offset, length, position)
      if (disk.fails && position > 0) throw failure("EIO")
      return written
    },
    truncate: (fd, length) => {
      if (disk.fails) throw failure("EIO")
      nodeFiles.truncate(fd, length)
    }
  }
  return { disk, files }
}

it.scopedLive(
  "a disk that failed hundreds of times and is sound in between costs no event that it would take",
  () =>
    Effect.gen(function* () {
      const { disk, files } = spoilingDisk()
      const { die, journal, quota } = yield* live({ directory: yield* journalFolder, maxBytes: 2 ** 30, files })
      for (let seq = 1; seq <= failures; seq++) {
        disk.fails = false
        expect(journal.append(seq, jsonOf(seq, 10))).toBeUndefined()
        disk.fails = true
        expect(journal.append(seq + 1, jsonOf(seq + 1, 10))).toMatchObject({ reason: "failing" })
      }
      disk.fails = false
      const last = failures + 1
      expect(journal.append(last, jsonOf(last, 10))).toBeUndefined()
      expect(disk.longestHeader).toBeLessThan(maxHeader / 10)
      expect(quota.used()).toBe(yield* bytesIn(journal.path))
      yield* die
      const { dead } = yield* adopted(journal.path)
      const { frames } = yield* readAll(dead.readAfter(0))
      expect(frames.map(({ json }) => json)).toEqual(Array.from({ length: last }, (_, place) => jsonOf(place + 1, 10)))
      expect(dead.scan).toMatchObject({ quarantined: 0, gaps: [] })
    }),
  60_000
)

it.scopedLive(
  "a journal that refused until its headers were full takes events again by itself, and says so no sooner",
  () =>
    Effect.gen(function* () {
      const { disk, files } = spoilingDisk()
      let cuts = false
      const spoiled: JournalFiles = {
        ...files,
        truncate: (fd, length) => {
          if (!cuts) throw failure("EIO")
          files.truncate(fd, length)
        }
      }
      const { journal } = yield* live({
        directory: yield* journalFolder,
        maxBytes: 2 ** 30,
        files: spoiled,
        flushInterval: "10 millis"
      })
      let seq = 1
      const isTaken = () => {
        const taken = journal.append(seq, jsonOf(seq, 10)) === undefined
        if (taken) seq += 1
        return taken
      }
      let refused = 0
      while (refused < 3) {
        disk.fails = false
        refused += isTaken() ? 0 : 1
        disk.fails = true
        isTaken()
      }
      // It writes again, and cuts off no tail: nothing but a header can say where these files end.
      disk.fails = false
      for (let turn = 0; turn < 10; turn++) {
        yield* Effect.sleep("30 millis")
        expect(journal.status().problem).toMatchObject({ detail: expect.stringContaining("do not fit into a header") })
        expect(isTaken()).toBe(false)
      }
      cuts = true
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => journal.status().problem === null }).pipe(
        Effect.timeout("20 seconds")
      )
      expect(isTaken()).toBe(true)
    }),
  60_000
)

it.scopedLive("a tail that is cut off later is not part of the rewrite after a failed sync", () =>
  Effect.gen(function* () {
    const { faults, files } = faultyDisk()
    const { die, journal, quota } = yield* live({ directory: yield* journalFolder, files })
    const safe = appendMany(journal, 2)
    expect(yield* synced(journal)).toBeUndefined()
    const later = appendMany(journal, 2, 3)
    Object.assign(faults, { cutShort: 1, truncate: 1 })
    expect(journal.append(5, jsonOf(5))).toMatchObject({ reason: "failing" })
    // The new file is not to be had at first: until it is, the old one's frames must not be cut off.
    Object.assign(faults, { fdatasync: 1, rename: 1 })
    expect(yield* synced(journal)).toContain("EIO")
    expect((yield* readAll(journal.readAfter(0))).frames).toEqual([...safe, ...later])
    const last = appendMany(journal, 1, 5)
    expect(yield* synced(journal)).toBeUndefined()
    expect(quota.used()).toBe(yield* bytesIn(journal.path))
    yield* die
    const { dead } = yield* adopted(journal.path)
    expect((yield* readAll(dead.readAfter(0))).frames).toEqual([...safe, ...later, ...last])
    expect(dead.scan).toMatchObject({ quarantined: 0, gaps: [] })
  })
)

it.scopedLive("a rewritten file ends where it was synced, although a failed write left bytes after that", () =>
  Effect.gen(function* () {
    const { faults, files } = faultyDisk()
    const { die, journal } = yield* live({ directory: yield* journalFolder, files })
    const safe = appendMany(journal, 2)
    expect(yield* synced(journal)).toBeUndefined()
    const [old] = yield* segmentsIn(journal.path)
    const later = appendMany(journal, 2, 3)
    Object.assign(faults, { cutShort: 1, truncate: 1 })
    expect(journal.append(5, jsonOf(5))).toMatchObject({ reason: "failing" })
    faults.fdatasync = 1
    expect(yield* synced(journal)).toBeUndefined()
    // As the system may do with pages that it could not write.
    yield* Effect.promise(async () => {
      const bytes = await Fs.readFile(old?.path ?? "")
      await Fs.writeFile(old?.path ?? "", bytes.fill(0, old?.size))
    })
    yield* die
    const { dead } = yield* adopted(journal.path)
    expect((yield* readAll(dead.readAfter(0))).frames).toEqual([...safe, ...later])
    expect(dead.scan).toMatchObject({ quarantined: 0, gaps: [] })
  })
)

it.scopedLive("a journal whose memory is full of what waits for the disk does not say that it takes events", () =>
  Effect.gen(function* () {
    const disk = { hangs: false }
    let answer = () => {}
    const files: JournalFiles = {
      ...nodeFiles,
      fdatasync: async (fd) => {
        if (disk.hangs) await new Promise<void>((resolve) => (answer = resolve))
        await nodeFiles.fdatasync(fd)
      }
    }
    const { journal } = yield* live({
      directory: yield* journalFolder,
      maxBytes: 2 ** 30,
      files,
      flushInterval: "10 millis"
    })
    disk.hangs = true
    const json = JSON.stringify({ text: "x".repeat(200_000) })
    let last = 0
    while (last < 1_000 && journal.append(last + 1, json) === undefined) last += 1
    const small = "{}"
    while (journal.append(last + 1, JSON.stringify({ text: "x".repeat(3_000) })) === undefined) last += 1
    for (let turn = 0; turn < 10; turn++) {
      yield* Effect.sleep("20 millis")
      expect(journal.status().problem).toMatchObject({ detail: expect.stringContaining("wait for a sync to the disk") })
    }
    disk.hangs = false
    answer()
    yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => journal.status().problem === null }).pipe(
      Effect.timeout("20 seconds")
    )
    expect(journal.append(last + 1, small)).toBeUndefined()
  })
)
