import * as Fs from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { tryLock } from "fs-native-extensions"

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
const isInPlace = async (path: string, file: Fs.FileHandle): Promise<boolean> => {
  const [inPlace, open] = await Promise.all([Fs.stat(path).catch(() => undefined), file.stat()])
  return inPlace?.ino === open.ino && inPlace.dev === open.dev
}

/**
 * Acquires the lock, or returns None if another descriptor has it, one of this process included. The operating system ties it
 * to the open file: it ends with its process, without relying on a pid or a clock. Children do not inherit it (Node opens
 * files close-on-exec). Creates the file if it is missing; its directory must exist.
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
    // Interrupted here, the lock would stay acquired without a holder to release it.
    Effect.uninterruptible
  )
