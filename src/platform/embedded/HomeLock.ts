import * as Fs from "node:fs/promises"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { tryLock } from "fs-native-extensions"

/** The lock file of a home cannot be opened or locked. */
export class HomeLockUnusable extends Schema.TaggedError<HomeLockUnusable>()("HomeLockUnusable", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `the lock file ${this.path} is not usable: ${this.reason}`
  }
}

/** What a process is here for: a server is joined by commands, a command is waited for. */
export const Purpose = Schema.Literal("server", "command")
export type Purpose = typeof Purpose.Type

/** Who holds the lock, as it wrote itself into the lock file. */
export const Holder = Schema.Struct({
  pid: Schema.Number,
  since: Schema.String,
  purpose: Purpose,
  phase: Schema.Literal("starting", "running", "stopping"),
  /** PostgreSQL's, once it runs. */
  port: Schema.NullOr(Schema.Number)
})
export type Holder = typeof Holder.Type

export interface HomeLock {
  /** Tells the others how far we are. */
  readonly report: (phase: Holder["phase"], port: number | null) => Effect.Effect<void>
}

const HolderLine = Schema.parseJson(Holder)

/**
 * The locked byte is far behind the text: on Windows a lock is mandatory, and others must still be able to read who holds it.
 */
const lockedByte = 2 ** 30

/**
 * Takes the lock for as long as the scope lasts, or gives None. It is the operating system's, on an open file: it dies with
 * its process, however that ends, and no pid or clock has to be believed. Children do not inherit it (Node opens files
 * close-on-exec), so a PostgreSQL that outlives us does not hold it either.
 */
export const tryAcquire = (
  path: string,
  purpose: Purpose
): Effect.Effect<Option.Option<HomeLock>, HomeLockUnusable, Scope.Scope> =>
  Effect.gen(function* () {
    const locked = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: async () => {
          // For reading and appending, not truncated: the text may be that of the present holder.
          const file = await Fs.open(path, "a+", 0o600)
          try {
            if (tryLock(file.fd, lockedByte, 1)) return Option.some(file)
          } catch (cause) {
            await file.close()
            throw cause
          }
          await file.close()
          return Option.none()
        },
        catch: (cause) => new HomeLockUnusable({ path, reason: cause instanceof Error ? cause.message : String(cause) })
      }),
      Option.match({ onNone: () => Effect.void, onSome: (file) => Effect.promise(() => file.close()) })
    )
    if (Option.isNone(locked)) return Option.none<HomeLock>()
    const file = locked.value
    const since = new Date(yield* Clock.currentTimeMillis).toISOString()
    const report: HomeLock["report"] = (phase, port) =>
      Effect.promise(async () => {
        const line = `${JSON.stringify({ pid: process.pid, since, purpose, phase, port } satisfies Holder)}\n`
        await file.truncate(0)
        await file.appendFile(line)
      })
    yield* report("starting", null)
    return Option.some({ report })
  })

/** Who holds the lock; None in the moment when a new holder has not written itself down. */
export const readHolder = (path: string): Effect.Effect<Option.Option<Holder>> =>
  Effect.promise(() => Fs.readFile(path, "utf8").catch(() => "")).pipe(Effect.map(Schema.decodeOption(HolderLine)))
