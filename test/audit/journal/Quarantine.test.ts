import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { magic } from "../../../src/audit/journal/Frame.ts"
import { type JournalFiles, nodeFiles } from "../../../src/audit/journal/JournalFiles.ts"
import { failure } from "../../support/FaultyDisk.ts"
import {
  adopted,
  appendMany,
  journalFolder,
  live,
  readAll,
  segmentsIn,
  takeOver
} from "../../support/JournalFixture.ts"

/** A journal in the midst of whose only segment a byte is damaged. */
const damaged = Effect.gen(function* () {
  const { die, journal } = yield* live({ directory: yield* journalFolder })
  appendMany(journal, 9)
  yield* die
  const [segment] = yield* segmentsIn(journal.path)
  const path = segment?.path ?? ""
  yield* Effect.promise(async () => {
    const bytes = await Fs.readFile(path)
    const at = Math.floor(bytes.length / 2)
    bytes[at] = (bytes[at] ?? 0) ^ 0x40
    await Fs.writeFile(path, bytes)
  })
  const parent = Path.dirname(journal.path)
  return {
    path: journal.path,
    segment: path,
    quarantine: Path.join(parent, "quarantine", Path.basename(journal.path)),
    parent
  }
})

it.scopedLive("a damaged span has its name on the disk before the segment that held it goes", () =>
  Effect.gen(function* () {
    const { parent, path, quarantine, segment } = yield* damaged
    const done: Array<string> = []
    const files: JournalFiles = {
      ...nodeFiles,
      syncDirectory: async (directory) => {
        await nodeFiles.syncDirectory(directory)
        done.push(directory)
      },
      unlink: (file) => {
        done.push(file)
        nodeFiles.unlink(file)
      }
    }
    const { dead } = yield* adopted(path, { files })
    dead.settle((yield* readAll(dead.readAfter(0))).frames)
    const before = done.slice(0, done.indexOf(segment))
    expect(before).toEqual(expect.arrayContaining([quarantine, Path.dirname(quarantine), parent]))
  })
)

it.scopedLive("a quarantine that is not on the disk for certain leaves the journal as it is, and is told as such", () =>
  Effect.gen(function* () {
    const { path, quarantine } = yield* damaged
    const disk = { fails: true }
    const files: JournalFiles = {
      ...nodeFiles,
      syncDirectory: (directory) =>
        disk.fails && directory === quarantine
          ? Promise.reject(failure("EIO", directory))
          : nodeFiles.syncDirectory(directory)
    }
    // Also the second time, when the file is there already.
    for (const _try of [1, 2]) {
      const trouble = yield* Effect.flip(Effect.scoped(takeOver(path, { files })))
      expect(trouble).toMatchObject({ reason: expect.stringContaining("the quarantine cannot be written: EIO") })
    }
    disk.fails = false
    const { dead } = yield* adopted(path, { files })
    expect(dead.scan).toMatchObject({ frames: 8, quarantined: 1 })
  })
)

it.scopedLive("a damaged segment that cannot be read is not told as the quarantine's trouble", () =>
  Effect.gen(function* () {
    const { path } = yield* damaged
    let reads = 0
    const files: JournalFiles = {
      ...nodeFiles,
      read: (file, bytes, length, position) => {
        // The span's copy asks for no more than the span.
        if (file.endsWith(".segment") && length < 1_000) {
          reads += 1
          return Promise.reject(failure("EIO", file))
        }
        return nodeFiles.read(file, bytes, length, position)
      }
    }
    const trouble = yield* Effect.flip(Effect.scoped(takeOver(path, { files })))
    expect(reads).toBe(1)
    expect(trouble).toMatchObject({ reason: expect.not.stringContaining("quarantine") })
  })
)

/** Makes each `FileHandle.write` write half of what it is asked to, as a nearly full disk may. */
const shortWrites = Effect.acquireRelease(
  Effect.promise(async () => {
    const handle = await Fs.open(process.execPath)
    const prototype: Fs.FileHandle = Object.getPrototypeOf(handle)
    await handle.close()
    const { write } = prototype
    Reflect.set(prototype, "write", function (this: Fs.FileHandle, bytes: Uint8Array, offset: number, length: number) {
      return Reflect.apply(write, this, [bytes, offset, Math.ceil(length / 2)])
    })
    return () => Reflect.set(prototype, "write", write)
  }),
  (restore) => Effect.sync(restore)
)

it.scopedLive("the quarantine holds a whole damaged span although the disk writes a part of it at a time", () =>
  Effect.gen(function* () {
    const { path, quarantine, segment } = yield* damaged
    const bytes = yield* Effect.promise(() => Fs.readFile(segment))
    yield* shortWrites
    yield* adopted(path)
    const [name = ""] = yield* Effect.promise(() => Fs.readdir(quarantine))
    const kept = yield* Effect.promise(() => Fs.readFile(Path.join(quarantine, name)))
    const from = Number(/-(\d+)\.bin$/.exec(name)?.[1])
    const nextFrame = bytes.indexOf(magic, from + 1)
    expect(kept.toString("hex")).toBe(bytes.subarray(from, nextFrame).toString("hex"))
  })
)
