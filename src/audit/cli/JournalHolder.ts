import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as OsLock from "../../platform/os/OsLock.ts"
import { holderOf, lockName } from "../journal/JournalDirectory.ts"

/** Linux lists all locks that are held, with the inode of each file. */
const heldByInode = async (inode: number): Promise<boolean | undefined> => {
  const table = await Fs.readFile("/proc/locks", "utf8").catch(() => undefined)
  if (table === undefined) return undefined
  return table.split("\n").some((line) => line.includes("OFDLCK") && line.includes(`:${inode} `))
}

/** Who holds the journal at `path` at this moment; null when nobody does. */
export const holderNow = (path: string): Effect.Effect<string | null> =>
  Effect.gen(function* () {
    const file = Path.join(path, lockName)
    const found = yield* Effect.promise(() => Fs.stat(file).catch(() => undefined))
    if (found === undefined) return null
    const listed = yield* Effect.promise(() => heldByInode(found.ino))
    if (listed !== undefined) return listed ? yield* holderOf(path) : null
    // Elsewhere there is no other way to know than to try, for a moment.
    const tried = yield* Effect.option(OsLock.tryAcquire(file))
    if (Option.isNone(tried) || Option.isNone(tried.value)) return yield* holderOf(path)
    yield* tried.value.value.release
    return null
  })
