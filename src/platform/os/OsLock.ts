import * as Fs from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { tryLock } from "fs-native-extensions"

/** A lock file cannot be opened or locked. */
export class LockFileUnusable extends Schema.TaggedError<LockFileUnusable>()("LockFileUnusable", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `the lock file ${this.path} is not usable: ${this.reason}`
  }
}

/** A lock that is held. */
export interface OsLock {
  /** Replaces the file's text, by which the others know who holds it; on a disk that refuses they do not, and it is held. */
  readonly write: (text: string) => Effect.Effect<void>
  /** Harmless when repeated. */
  readonly release: Effect.Effect<void>
}

/**
 * The locked byte is far behind the text: on Windows a lock is mandatory, and others must still be able to read who holds it.
 */
const lockedByte = 2 ** 30

/** Whether the path still leads to the open file: whoever held the lock before may have removed it with its directory. */
const isInPlace = async (path: string, file: Fs.FileHandle): Promise<boolean> => {
  const [inPlace, open] = await Promise.all([Fs.stat(path).catch(() => undefined), file.stat()])
  return inPlace?.ino === open.ino && inPlace.dev === open.dev
}

/**
 * Takes the lock, or gives None when another descriptor has it, one of this process included. It is the operating system's,
 * on an open file: it dies with its process, however that ends, and no pid or clock has to be believed. Children do not
 * inherit it (Node opens files close-on-exec). The file is made when it is not there; its directory has to be.
 */
export const tryAcquire = (path: string): Effect.Effect<Option.Option<OsLock>, LockFileUnusable> =>
  Effect.tryPromise({
    try: async () => {
      // For reading and appending, not truncated: the text may be that of the present holder.
      const file = await Fs.open(path, "a+", 0o600)
      try {
        if (tryLock(file.fd, lockedByte, 1) && (await isInPlace(path, file))) return Option.some(file)
      } catch (cause) {
        await file.close()
        throw cause
      }
      await file.close()
      return Option.none()
    },
    catch: (cause) => new LockFileUnusable({ path, reason: cause instanceof Error ? cause.message : String(cause) })
  }).pipe(
    Effect.map(
      Option.map((file): OsLock => {
        let released: Promise<void> | undefined
        return {
          write: (text) =>
            Effect.ignore(
              Effect.tryPromise(async () => {
                await file.truncate(0)
                await file.appendFile(text)
              })
            ),
          release: Effect.promise(() => {
            released ??= file.close()
            return released
          })
        }
      })
    ),
    // A lock that was taken while its taker was being interrupted would be held by nobody.
    Effect.uninterruptible
  )
