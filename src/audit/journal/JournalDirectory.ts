import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as OsLock from "../../platform/os/OsLock.ts"
import * as CheckpointFile from "./CheckpointFile.ts"
import { attempt, type FileTrouble, type JournalFiles, reasonOf } from "./JournalFiles.ts"
import type { JournalIdentity } from "./JournalIdentity.ts"
import { indexOf } from "./Segment.ts"

export const lockName = "lock"

/** Who holds a journal's lock, as it wrote itself into the lock file. */
const Holder = Schema.parseJson(Schema.Struct({ pid: Schema.Number, host: Schema.String, since: Schema.String }))

/** Who holds the lock of the journal at `path`, for a reader. */
export const holderOf = (path: string): Effect.Effect<string> =>
  Effect.promise(() => Fs.readFile(Path.join(path, lockName), "utf8").catch(() => "")).pipe(
    Effect.map(Schema.decodeOption(Holder)),
    Effect.map(
      Option.match({
        onNone: () => "another process",
        onSome: ({ host, pid, since }) => `process ${pid} on ${host}, since ${since}`
      })
    )
  )

/** Takes the lock of the journal at `path` and writes down who has it; None when another descriptor holds it. */
export const lock = (
  path: string,
  host: string
): Effect.Effect<Option.Option<OsLock.OsLock>, OsLock.LockFileUnusable> =>
  Effect.gen(function* () {
    const taken = yield* OsLock.tryAcquire(Path.join(path, lockName))
    if (Option.isNone(taken)) return taken
    const since = new Date(yield* Clock.currentTimeMillis).toISOString()
    yield* taken.value.write(`${JSON.stringify({ pid: process.pid, host, since } satisfies typeof Holder.Type)}\n`)
    return taken
  }).pipe(Effect.uninterruptible)

/** A journal's directory, locked, with its state. */
export interface JournalDirectory {
  readonly path: string
  /** Tells it from another that comes in its place. */
  readonly id: string | undefined
  readonly state: CheckpointFile.CheckpointFile
  /** Harmless when repeated. */
  readonly release: Effect.Effect<void>
}

export type Claim =
  | { readonly _tag: "Claimed"; readonly directory: JournalDirectory }
  | { readonly _tag: "Held"; readonly holder: string }

const unfinishedName = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.new$/

/**
 * Longer than any start takes to lock its directory: it holds the lock from the moment after it made it, however long a disk
 * keeps it from naming it. One that hung before its lock for longer finds no directory to lock, and says so.
 */
const abandoned = Duration.minutes(10)

const removeAbandonedAt = (path: string) =>
  Effect.gen(function* () {
    const { mtimeMs } = yield* attempt(path, () => Fs.stat(path))
    if ((yield* Clock.currentTimeMillis) - mtimeMs < Duration.toMillis(abandoned)) return
    const taken = yield* OsLock.tryAcquire(Path.join(path, lockName))
    if (Option.isNone(taken)) return
    yield* attempt(path, () => Fs.rm(path, { recursive: true, force: true })).pipe(Effect.ensuring(taken.value.release))
  }).pipe(Effect.ignore)

/** Removes what starts left that were killed before their directory had its name: it never held an event. Never fails. */
const removeAbandoned = (parent: string): Effect.Effect<void> =>
  Effect.promise(() => Fs.readdir(parent).catch(() => [])).pipe(
    Effect.map((names) => names.filter((name) => unfinishedName.test(name))),
    Effect.flatMap((names) => Effect.forEach(names, (name) => removeAbandonedAt(Path.join(parent, name)))),
    Effect.asVoid
  )

const make = (
  parent: string,
  path: string,
  identity: JournalIdentity,
  files: JournalFiles
): Effect.Effect<JournalDirectory, FileTrouble | OsLock.LockFileUnusable> =>
  Effect.gen(function* () {
    const unfinished = `${path}.new`
    yield* attempt(unfinished, async () => {
      // Of this incarnation too, from an attempt that failed.
      await Fs.rm(unfinished, { recursive: true, force: true })
      await Fs.mkdir(unfinished, { mode: 0o700 })
    })
    const taken = yield* lock(unfinished, identity.host)
    if (Option.isNone(taken)) {
      return yield* new OsLock.LockFileUnusable({ path: unfinished, reason: "it is locked in the moment it was made" })
    }
    const state = yield* attempt(unfinished, async () =>
      CheckpointFile.open({ files, directory: unfinished, identity, generation: undefined })
    ).pipe(Effect.onError(() => taken.value.release))
    const release = Effect.zipRight(
      Effect.sync(() => state.close()),
      taken.value.release
    )
    return yield* attempt(path, async () => {
      // A power loss leaves a whole state or none.
      await state.sync()
      // Never seen without its lock held: who looks for journals of the dead would take it for one.
      await Fs.rename(unfinished, path)
      await files.syncDirectory(parent)
      return { path, id: await files.identify(path), state, release }
    }).pipe(Effect.onError(() => release))
  })

/** Makes the directory of a living incarnation's journal. */
export const claim = (options: {
  /** Where journals are; made when it is not there. */
  readonly parent: string
  readonly identity: JournalIdentity
  readonly files: JournalFiles
}): Effect.Effect<Claim, FileTrouble | OsLock.LockFileUnusable> =>
  Effect.gen(function* () {
    const { files, identity, parent } = options
    const path = Path.join(parent, identity.source)
    yield* attempt(parent, () => Fs.mkdir(parent, { recursive: true, mode: 0o700 }))
    yield* removeAbandoned(parent)
    const isThere = (yield* attempt(path, () => files.identify(path))) !== undefined
    if (isThere) return { _tag: "Held", holder: yield* holderOf(path) } as const
    return { _tag: "Claimed", directory: yield* make(parent, path, identity, files) } as const
  }).pipe(Effect.uninterruptible)

/**
 * Removes a journal's directory; its lock is held. First the segments, then the state, which says that all is settled, and the
 * lock last: an end in between leaves something that the next who takes it over removes. False, and never a failure, where a
 * disk keeps the files.
 */
export const remove = (path: string): Effect.Effect<boolean> =>
  Effect.tryPromise({
    try: async () => {
      const names = await Fs.readdir(path)
      const segments = names.filter((name) => indexOf(name) !== undefined)
      const others = names.filter((name) => name !== lockName && !segments.includes(name))
      for (const name of [...segments.toSorted(), ...others]) await Fs.rm(Path.join(path, name), { force: true })
      await Fs.rm(Path.join(path, lockName), { force: true })
      await Fs.rmdir(path)
    },
    catch: (cause) =>
      cause instanceof Error && "code" in cause && cause.code === "ENOENT" ? undefined : reasonOf(cause)
  }).pipe(
    Effect.as(true),
    Effect.catchAll((reason) =>
      reason === undefined
        ? Effect.succeed(true)
        : Effect.as(
            Effect.logWarning(
              `The audit journal ${path} is settled and not removed yet: ${reason}. A gatekeeper with this GRAVITAS_HOME tries ` +
                "again each minute."
            ),
            false
          )
    )
  )
