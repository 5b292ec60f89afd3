import { closeSync, constants, fstatSync, ftruncateSync, statSync, writeSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { tryLock } from "fs-native-extensions"
import { reasonOf } from "./FileTrust.ts"
import * as PrivateFile from "./PrivateFile.ts"

export class LockFileUnusable extends Schema.TaggedError<LockFileUnusable>()("LockFileUnusable", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `the lock file ${this.path} is not usable: ${this.reason}`
  }
}

export interface OsLock {
  /** Replaces the file's text, which tells other processes the holder. On a full disk the lock is held without a text. */
  readonly write: (text: string) => Effect.Effect<void>
  /** May be called again. */
  readonly release: Effect.Effect<void>
}

/** Far behind the text: on Windows a lock is mandatory, and other processes must be able to read the text. */
const lockedByte = 2 ** 30

/** Whether the path still leads to the open file: the previous holder may have removed it with its directory. */
const isInPlace = (path: string, fd: number): boolean => {
  const [inPlace, open] = [statSync(path, { throwIfNoEntry: false }), fstatSync(fd)]
  return inPlace?.ino === open.ino && inPlace.dev === open.dev
}

/** For reading and appending, not truncated: the text may be that of the present holder. Others may read it, not change it. */
const openFile = (path: string): number =>
  PrivateFile.open(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT, 0o022)

/**
 * Acquires the lock, or returns None if another descriptor has it, one of this process included. The operating system ties it
 * to the open file: it ends with its process, without relying on a pid or a clock. Children do not inherit it (Node opens
 * files close-on-exec). Creates the file if it is missing; its directory must exist.
 */
export const tryAcquire = (path: string): Effect.Effect<Option.Option<OsLock>, LockFileUnusable> =>
  Effect.try({
    try: () => {
      const fd = openFile(path)
      try {
        if (tryLock(fd, lockedByte, 1) && isInPlace(path, fd)) return Option.some(fd)
      } catch (cause) {
        closeSync(fd)
        throw cause
      }
      closeSync(fd)
      return Option.none()
    },
    catch: (cause) => new LockFileUnusable({ path, reason: reasonOf(cause) })
  }).pipe(
    Effect.map(
      Option.map((fd): OsLock => {
        let isHeld = true
        return {
          write: (text) =>
            Effect.ignore(
              Effect.try(() => {
                // A closed descriptor's number may be that of another file by now.
                if (!isHeld) return
                ftruncateSync(fd)
                writeSync(fd, text)
              })
            ),
          release: Effect.sync(() => {
            if (isHeld) closeSync(fd)
            isHeld = false
          })
        }
      })
    ),
    // Interrupted here, the lock would stay acquired without a holder to release it.
    Effect.uninterruptible
  )
