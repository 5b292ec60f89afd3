import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as OsLock from "../../../src/platform/os/OsLock.ts"
import { adopted, appendMany, journalFolder, live } from "../../support/JournalFixture.ts"

it.scopedLive("a start removes what starts left that were killed long ago, and nothing that may be in the making", () =>
  Effect.gen(function* () {
    const directory = yield* journalFolder
    const nameOf = () => Path.join(directory, `${crypto.randomUUID()}.new`)
    const [old, young, slow, held] = [nameOf(), nameOf(), nameOf(), nameOf()]
    for (const path of [old, young, slow, held]) {
      yield* Effect.promise(() => Fs.mkdir(path, { recursive: true }))
      yield* Effect.promise(() => Fs.writeFile(Path.join(path, "state"), "half"))
    }
    const lock = Option.getOrThrow(yield* OsLock.tryAcquire(Path.join(held, "lock")))
    const hourAgo = new Date(Date.now() - 3_600_000)
    for (const path of [old, held]) yield* Effect.promise(() => Fs.utimes(path, hourAgo, hourAgo))
    // Its start hangs on a disk, and may go on.
    const minutesAgo = new Date(Date.now() - 5 * 60_000)
    yield* Effect.promise(() => Fs.utimes(slow, minutesAgo, minutesAgo))
    const { journal } = yield* live({ directory })
    const left = yield* Effect.promise(() => Fs.readdir(directory))
    expect(left.toSorted()).toEqual([young, slow, held, journal.path].map((path) => Path.basename(path)).toSorted())
    yield* lock.release
  })
)

it.scopedLive("a journal that the disk keeps is not said to be removed", () =>
  Effect.gen(function* () {
    const { die, journal } = yield* live({ directory: yield* journalFolder })
    const rows = appendMany(journal, 3)
    yield* die
    const { dead } = yield* adopted(journal.path)
    dead.settle(rows)
    const inTheWay = Path.join(journal.path, "directory")
    yield* Effect.promise(() => Fs.mkdir(inTheWay))
    expect(yield* dead.remove).toBe(false)
    yield* Effect.promise(() => Fs.rmdir(inTheWay))
    expect(yield* dead.remove).toBe(true)
  })
)
