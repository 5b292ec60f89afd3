import * as Fs from "node:fs/promises"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as OsLock from "../../platform/os/OsLock.ts"
import * as PrivateFile from "../../platform/os/PrivateFile.ts"
import * as CheckpointFile from "./CheckpointFile.ts"
import { attempt, type FileTrouble, type JournalFiles, reasonOf } from "./JournalFiles.ts"
import type { JournalIdentity } from "./SegmentHeader.ts"
import { indexOf } from "./Segments.ts"

export const lockName = "lock"

/** The holder of a journal's lock, as written in the lock file. */
const Holder = Schema.parseJson(Schema.Struct({ pid: Schema.Number, host: Schema.String, since: Schema.String }))

/** Describes the holder of the lock of the journal at `path`. */
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

/**
 * Acquires the lock of the journal at `path` and writes the holder into it; None when another descriptor holds it. Fails when another
 * account can change the journal: its events would be written as this process's own.
 */
const lock = (path: string, host: string): Effect.Effect<Option.Option<OsLock.OsLock>, OsLock.LockFileUnusable> =>
  Effect.gen(function* () {
    yield* Effect.try({
      try: () => PrivateFile.requireDirectory(path, { closed: 0o022, mode: 0o700 }),
      catch: (cause) => new OsLock.LockFileUnusable({ path: Path.join(path, lockName), reason: reasonOf(cause) })
    })
    const taken = yield* OsLock.tryAcquire(Path.join(path, lockName))
    if (Option.isNone(taken)) return taken
    const since = new Date(yield* Clock.currentTimeMillis).toISOString()
    yield* taken.value.write(`${JSON.stringify({ pid: process.pid, host, since } satisfies typeof Holder.Type)}\n`)
    return taken
  }).pipe(Effect.uninterruptible)

/** Locks the journal of a process that has ended, until the scope closes. Returns the holder when another process holds it. */
export const hold = (path: string) =>
  Effect.acquireRelease(
    lock(path, Os.hostname()),
    Option.match({ onNone: () => Effect.void, onSome: ({ release }) => release })
  ).pipe(Effect.flatMap(Option.match({ onNone: () => holderOf(path), onSome: () => Effect.succeed(undefined) })))

/** A journal's locked directory, with its checkpoint. */
export interface JournalDirectory {
  readonly path: string
  /** Tells it from a later directory at the same path. */
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
 * The age from which an unlocked directory is abandoned. A start locks its directory right after creating it. A start that hangs
 * for longer before its lock finds no directory, and fails with that error.
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

/** Removes directories of starts that were killed before the rename: they never held an event. Never fails. */
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
      // A failed attempt of this incarnation may have left one too.
      await Fs.rm(unfinished, { recursive: true, force: true })
      await Fs.mkdir(unfinished, { mode: 0o700 })
    })
    const taken = yield* lock(unfinished, identity.host)
    if (Option.isNone(taken)) {
      return yield* new OsLock.LockFileUnusable({
        path: unfinished,
        reason: "another process locked it right after it was created"
      })
    }
    const state = yield* attempt(unfinished, async () =>
      CheckpointFile.open({ files, directory: unfinished, identity, generation: undefined })
    ).pipe(Effect.onError(() => taken.value.release))
    const release = Effect.zipRight(
      Effect.sync(() => state.close()),
      taken.value.release
    )
    return yield* attempt(path, async () => {
      // A power loss then leaves a complete checkpoint or none.
      await state.sync()
      // Named only while it is locked: otherwise recovery would take it for an orphaned journal.
      await Fs.rename(unfinished, path)
      await files.syncDirectory(parent)
      return { path, id: await files.identify(path), state, release }
    }).pipe(Effect.onError(() => release))
  })

/** Creates the directory of a living incarnation's journal. */
export const claim = (options: {
  /** The directory of all journals; created if it does not exist. */
  readonly parent: string
  readonly identity: JournalIdentity
  readonly files: JournalFiles
}): Effect.Effect<Claim, FileTrouble | OsLock.LockFileUnusable> =>
  Effect.gen(function* () {
    const { files, identity, parent } = options
    const path = Path.join(parent, identity.source)
    yield* attempt(parent, async () => PrivateFile.ensureDirectory(parent))
    yield* removeAbandoned(parent)
    const isThere = (yield* attempt(path, () => files.identify(path))) !== undefined
    if (isThere) return { _tag: "Held", holder: yield* holderOf(path) } as const
    return { _tag: "Claimed", directory: yield* make(parent, path, identity, files) } as const
  }).pipe(Effect.uninterruptible)

/**
 * Removes a journal's directory, whose lock is held: the segments first, then the checkpoint, which says that all is settled,
 * and the lock last. If the process dies in between, recovery removes the rest. Returns false when the disk keeps a file.
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
