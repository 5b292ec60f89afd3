import * as Fs from "node:fs/promises"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as OsLock from "../platform/os/OsLock.ts"

/** The lock file of a home cannot be opened or locked. */
export class HomeLockUnusable extends Schema.TaggedError<HomeLockUnusable>()("HomeLockUnusable", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `the lock file ${this.path} is not usable: ${this.reason}`
  }
}

/** A server is joined by commands; a command is waited for. */
export const Purpose = Schema.Literal("server", "command")
export type Purpose = typeof Purpose.Type

/** The holder of the lock, as it wrote itself into the lock file. */
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
  /** Writes the phase of this process into the lock file. */
  readonly report: (phase: Holder["phase"], port: number | null) => Effect.Effect<void>
}

const HolderLine = Schema.parseJson(Holder)

/**
 * Acquires the lock until the scope closes, or returns None. A PostgreSQL that outlives its process does not hold it: see
 * `OsLock`.
 */
export const tryAcquire = (
  path: string,
  purpose: Purpose
): Effect.Effect<Option.Option<HomeLock>, HomeLockUnusable, Scope.Scope> =>
  Effect.gen(function* () {
    const locked = yield* Effect.acquireRelease(
      OsLock.tryAcquire(path).pipe(Effect.mapError(({ reason }) => new HomeLockUnusable({ path, reason }))),
      Option.match({ onNone: () => Effect.void, onSome: (lock) => lock.release })
    )
    if (Option.isNone(locked)) return Option.none<HomeLock>()
    const since = new Date(yield* Clock.currentTimeMillis).toISOString()
    const report: HomeLock["report"] = (phase, port) =>
      locked.value.write(`${JSON.stringify({ pid: process.pid, since, purpose, phase, port } satisfies Holder)}\n`)
    yield* report("starting", null)
    return Option.some({ report })
  })

/** The holder of the lock; None while a new holder has not written itself yet. */
export const readHolder = (path: string): Effect.Effect<Option.Option<Holder>> =>
  Effect.promise(() => Fs.readFile(path, "utf8").catch(() => "")).pipe(Effect.map(Schema.decodeOption(HolderLine)))
