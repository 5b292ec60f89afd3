import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type JournalFiles, nodeFiles } from "../../../src/audit/journal/JournalFiles.ts"
import * as StateFile from "../../../src/audit/journal/StateFile.ts"
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
    const open = () => StateFile.open({ files, directory, identity, generation: undefined })
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
    // What it left is in nobody's way.
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
