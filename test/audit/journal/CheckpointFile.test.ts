import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import * as CheckpointFile from "../../../src/audit/journal/CheckpointFile.ts"
import { type JournalFiles, nodeFiles } from "../../../src/audit/journal/JournalFiles.ts"
import { faultyDisk } from "../../support/FaultyDisk.ts"
import { adopted, identityOf, journalFolder, live } from "../../support/JournalFixture.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"

it.scopedLive("a state whose first write failed leaves neither a file nor an open descriptor", () =>
  Effect.gen(function* () {
    const directory = yield* temporaryHome
    const disk = faultyDisk()
    const opened: Array<number> = []
    const closed: Array<number> = []
    const files: JournalFiles = {
      ...disk.files,
      create: (path) => {
        const fd = disk.files.create(path)
        opened.push(fd)
        return fd
      },
      close: (fd) => {
        closed.push(fd)
        disk.files.close(fd)
      }
    }
    const identity = identityOf(crypto.randomUUID())
    const open = () => CheckpointFile.open({ files, directory, identity, generation: undefined })
    disk.faults.state = 1
    expect(open).toThrow("EIO")
    expect(opened).toHaveLength(1)
    expect(closed).toEqual(opened)
    expect(yield* Effect.promise(() => Fs.readdir(directory))).toEqual([])
    open().close()
  })
)

it.scopedLive("a journal has its name no sooner than its state is on the disk", () =>
  Effect.gen(function* () {
    const directory = yield* journalFolder
    const source = crypto.randomUUID()
    const seen: Array<ReadonlyArray<string>> = []
    const disk = { fails: true }
    const files: JournalFiles = {
      ...nodeFiles,
      fdatasync: async (fd) => {
        const { size } = await Fs.stat(Path.join(directory, `${source}.new`, "state"))
        seen.push([...(await Fs.readdir(directory)), String(size)])
        if (disk.fails) throw new Error("EIO: fdatasync")
        await nodeFiles.fdatasync(fd)
      }
    }
    const refused = yield* Effect.flip(live({ directory, source, files }))
    expect(refused).toMatchObject({ _tag: "JournalUnusable", reason: expect.stringContaining("EIO") })
    expect(yield* Effect.promise(() => Fs.readdir(directory))).toEqual([`${source}.new`])
    // What it left blocks no other start.
    disk.fails = false
    const { die, journal } = yield* live({ directory, source, files })
    expect(seen).toEqual([
      [`${source}.new`, "4096"],
      [`${source}.new`, "4096"]
    ])
    yield* die
    expect((yield* adopted(journal.path)).dead.counts).toEqual({ lastSeq: 0, refused: 0, shed: 0 })
  })
)

const identity = identityOf("3f1c9c1e-0000-4000-8000-000000000001")
const valuesOf = (lastSeq: number): CheckpointFile.CheckpointValues => ({
  lastSeq,
  refused: 2 ** 40 + lastSeq,
  shed: 3,
  acknowledged: lastSeq - 1,
  ended: lastSeq % 2 === 0
})

/** A state file after so many writes, the last of which reached the disk up to `cut` bytes. */
const written = (writes: number, cut: number = CheckpointFile.slotBytes): Buffer => {
  const file = Buffer.alloc(CheckpointFile.stateBytes)
  const slot = CheckpointFile.makeSlot(identity)
  for (let write = 1; write <= writes; write++) {
    const { bytes, position } = slot.next(valuesOf(write))
    bytes.copy(file, position, 0, write === writes ? cut : bytes.length)
  }
  return file
}

it("the last values written are those that are read", () => {
  for (const writes of [1, 2, 3, 10]) {
    expect(Option.getOrThrow(CheckpointFile.decode(written(writes)))).toEqual({
      identity,
      generation: writes,
      ...valuesOf(writes)
    })
  }
})

it.prop(
  "a write that is cut anywhere leaves the values before it, or is whole",
  { writes: FastCheck.integer({ min: 2, max: 9 }), cut: FastCheck.integer({ min: 0, max: CheckpointFile.slotBytes }) },
  ({ cut, writes }) => {
    const read = Option.getOrThrow(CheckpointFile.decode(written(writes, cut)))
    expect([writes - 1, writes]).toContain(read.generation)
    expect(read).toMatchObject(valuesOf(read.generation))
    if (cut === CheckpointFile.slotBytes) expect(read.generation).toBe(writes)
  }
)

it.prop(
  "a flipped bit is never believed, and any bytes are read without a fault",
  {
    bit: FastCheck.integer({ min: 0, max: CheckpointFile.stateBytes * 8 - 1 }),
    noise: FastCheck.uint8Array({ maxLength: 5_000 })
  },
  ({ bit, noise }) => {
    const file = written(2)
    file.writeUInt8(file.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    const read = CheckpointFile.decode(file)
    if (Option.isSome(read)) expect(read.value).toMatchObject(valuesOf(read.value.generation))
    expect(Option.isNone(CheckpointFile.decode(Buffer.from(noise)))).toBe(true)
  }
)

it("an identity that does not fit is refused before anything is written", () => {
  expect(() => CheckpointFile.makeSlot({ ...identity, host: "h".repeat(3_000) })).toThrow(/too long/)
})
