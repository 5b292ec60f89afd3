import { readdirSync } from "node:fs"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { stateName } from "../../../src/audit/journal/CheckpointFile.ts"
import * as Journal from "../../../src/audit/journal/Journal.ts"
import { type JournalFiles, nodeFiles } from "../../../src/audit/journal/JournalFiles.ts"
import { list } from "../../../src/audit/journal/OrphanedJournal.ts"
import {
  adopted,
  appendMany,
  identityOf,
  journalFolder,
  live,
  readAll,
  takeOver
} from "../../support/JournalFixture.ts"
import { skipBecause } from "../../support/SkipBecause.ts"

const other = "99999999-9999-4999-8999-999999999999"

const exists = (path: string) =>
  Effect.promise(() =>
    Fs.stat(path).then(
      () => true,
      () => false
    )
  )

const filesOf = (path: string) =>
  Effect.promise(async () => {
    const names = (await Fs.readdir(path)).filter((name) => name !== "lock").toSorted()
    return Promise.all(names.map(async (name) => [name, (await Fs.readFile(Path.join(path, name))).toString("hex")]))
  })

describe("a journal that another user can change", () => {
  it.scopedLive("is neither recovered nor changed, and the reason names the fix", (context) =>
    Effect.gen(function* () {
      if (process.getuid?.() !== 0) return skipBecause(context, "only root can give a file away")
      const directory = yield* journalFolder
      const path = Path.join(directory, other)
      yield* Effect.promise(() => Fs.mkdir(path, { recursive: true }))
      yield* Effect.promise(() => Fs.chmod(path, 0o777))
      expect((yield* Effect.flip(takeOver(path))).message).toContain(`chmod 700 ${path}`)
      yield* Effect.promise(() => Fs.chmod(path, 0o700))
      yield* Effect.promise(() => Fs.chown(path, 65_534, 65_534))
      expect((yield* Effect.flip(takeOver(path))).message).toContain(`chown 0 ${path}`)
      expect(readdirSync(path)).toEqual([])
      yield* Effect.promise(() => Fs.chown(directory, 65_534, 65_534))
      expect((yield* Effect.flip(live({ directory }))).message).toContain(`chown 0 ${directory}`)
    })
  )
})

describe("the journal of a living process", () => {
  it.scopedLive("is not opened again, and who asks is told who has it", () =>
    Effect.gen(function* () {
      const directory = yield* journalFolder
      const source = crypto.randomUUID()
      yield* live({ directory, source })
      const refused = yield* Effect.flip(live({ directory, source }))
      expect(refused).toBeInstanceOf(Journal.JournalInUse)
      expect(refused.message).toMatch(new RegExp(`${directory}.* is in use by process ${process.pid} on here, since 2`))
    })
  )

  it.scopedLive("is not taken over, and goes on", () =>
    Effect.gen(function* () {
      const { journal } = yield* live({ directory: yield* journalFolder })
      appendMany(journal, 3)
      const { outcome, quota } = yield* takeOver(journal.path)
      expect(outcome).toMatchObject({
        _tag: "alive",
        holder: expect.stringContaining(`process ${process.pid} on here`)
      })
      expect(quota.used()).toBe(0)
      appendMany(journal, 2, 4)
      expect((yield* readAll(journal.readAfter(0))).frames.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5])
    })
  )

  it.scopedLive("is never seen without its lock while it is being made", () =>
    Effect.gen(function* () {
      const directory = yield* journalFolder
      const source = crypto.randomUUID()
      const seen: Array<unknown> = []
      const files: JournalFiles = {
        ...nodeFiles,
        create: (path) => {
          seen.push(readdirSync(directory))
          return nodeFiles.create(path)
        },
        syncDirectory: async (path) => {
          if (path !== directory) return
          const { outcome } = await Effect.runPromise(Effect.scoped(takeOver(Path.join(directory, source))))
          seen.push(outcome._tag)
        }
      }
      yield* live({ directory, source, files })
      expect(seen).toEqual([[`${source}.new`], "alive"])
      expect(readdirSync(directory)).toEqual([source])
    })
  )

  it.scopedLive("starts again where an attempt to create it was interrupted", () =>
    Effect.gen(function* () {
      const directory = yield* journalFolder
      const source = crypto.randomUUID()
      const unfinished = Path.join(directory, `${source}.new`)
      yield* Effect.promise(() => Fs.mkdir(unfinished, { recursive: true }))
      yield* Effect.promise(() => Fs.writeFile(Path.join(unfinished, "lock"), ""))
      const { journal } = yield* live({ directory, source })
      appendMany(journal, 1)
      expect(readdirSync(directory)).toEqual([source])
    })
  )
})

describe("the journal of a dead process", () => {
  it.scopedLive("is taken over by one of two who ask, and by the other when that one dies", () =>
    Effect.gen(function* () {
      const { die, journal } = yield* live({ directory: yield* journalFolder })
      appendMany(journal, 4)
      yield* die
      const [first, second] = yield* Effect.all([takeOver(journal.path), takeOver(journal.path)], {
        concurrency: "unbounded"
      })
      const tags = [first, second].map(({ outcome }) => outcome._tag)
      expect(tags.toSorted()).toEqual(["adopted", "alive"])
      yield* first.leave
      yield* second.leave
      const { dead } = yield* adopted(journal.path)
      expect(dead.scan).toMatchObject({ frames: 4, pending: 4 })
    })
  )

  it.scopedLive("of another trail is neither read nor changed", () =>
    Effect.gen(function* () {
      const { die, journal } = yield* live({ directory: yield* journalFolder, identity: { trail: other } })
      appendMany(journal, 4)
      yield* die
      const before = yield* filesOf(journal.path)
      const { leave, outcome, quota } = yield* takeOver(journal.path)
      expect(outcome).toMatchObject({ _tag: "foreign", trail: other })
      expect(quota.used()).toBe(0)
      expect(yield* filesOf(journal.path)).toEqual(before)
      // By its segments, where its state is not readable.
      yield* Effect.promise(() => Fs.rm(Path.join(journal.path, stateName)))
      yield* leave
      expect((yield* takeOver(journal.path)).outcome).toMatchObject({ _tag: "foreign", trail: other })
    })
  )

  it.scopedLive("that says nothing of itself is left as it is, and named", () =>
    Effect.gen(function* () {
      const directory = yield* journalFolder
      const { die, journal } = yield* live({ directory })
      yield* die
      yield* Effect.promise(() => Fs.writeFile(Path.join(journal.path, stateName), "nothing"))
      yield* Effect.promise(() => Fs.writeFile(Path.join(journal.path, "00000001.segment"), "nothing either"))
      const refused = yield* Effect.flip(takeOver(journal.path))
      expect(refused.message).toContain(journal.path)
      expect(refused.message).toContain("neither its checkpoint nor the header of a segment can be read")
      expect(yield* filesOf(journal.path)).toHaveLength(2)
    })
  )

  it.scopedLive("that is empty is removed, and one that has vanished is ignored", () =>
    Effect.gen(function* () {
      const directory = yield* journalFolder
      const path = Path.join(directory, crypto.randomUUID())
      yield* Effect.promise(() => Fs.mkdir(path, { recursive: true }))
      yield* Effect.promise(() => Fs.writeFile(Path.join(path, "lock"), ""))
      expect((yield* takeOver(path)).outcome._tag).toBe("empty")
      expect(yield* exists(path)).toBe(false)
      expect((yield* takeOver(path)).outcome._tag).toBe("empty")
      expect(yield* exists(path)).toBe(false)
    })
  )

  it.scopedLive("that was settled and half removed goes wholly the next time", () =>
    Effect.gen(function* () {
      const { journal } = yield* live({ directory: yield* journalFolder })
      appendMany(journal, 4)
      journal.note({ lastSeq: 5, refused: 2, shed: 1 })
      journal.settle([1, 2, 3, 4].map((seq) => ({ seq })))
      yield* Effect.promise(() => Fs.rm(Path.join(journal.path, "00000001.segment")))
      yield* journal.end({ remove: false })
      const { dead } = yield* adopted(journal.path)
      expect(dead).toMatchObject({
        counts: { lastSeq: 5, refused: 2, shed: 1 },
        acknowledged: 5,
        scan: { pending: 0 }
      })
      yield* dead.remove
      expect(yield* exists(journal.path)).toBe(false)
    })
  )
})

it.scopedLive("journals are the directories named by a source; unfinished ones do not count", () =>
  Effect.gen(function* () {
    const directory = yield* journalFolder
    expect(yield* list(directory)).toEqual([])
    const { journal } = yield* live({ directory })
    const { source } = identityOf(Path.basename(journal.path))
    for (const name of ["quarantine", `${crypto.randomUUID()}.new`, "notes"]) {
      yield* Effect.promise(() => Fs.mkdir(Path.join(directory, name)))
    }
    expect(yield* list(directory)).toEqual([{ path: journal.path, source }])
  })
)

it.scopedLive("other users may not read a journal", () =>
  Effect.gen(function* () {
    const { journal } = yield* live({ directory: yield* journalFolder })
    appendMany(journal, 1)
    const modes = yield* Effect.promise(async () => {
      const names = ["", "lock", "state", "00000001.segment"]
      const stats = await Promise.all(names.map((name) => Fs.stat(Path.join(journal.path, name))))
      return stats.map(({ mode }) => (mode & 0o777).toString(8))
    })
    expect(modes).toEqual(["700", "600", "600", "600"])
  })
)
