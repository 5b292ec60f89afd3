import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as OsLock from "../platform/os/OsLock.ts"
import * as ConnectionFile from "./ConnectionFile.ts"
import { type DataLocation, NoPlaceForPostgres } from "./DataLocation.ts"
import { isRunning } from "./Postmaster.ts"
import { probe } from "./Probe.ts"

/** A server is joined by commands; a command is waited for. */
const Purpose = Schema.Literal("server", "command")
type Purpose = typeof Purpose.Type

/** The holder of the lock, as it wrote itself into the lock file. */
export const Holder = Schema.Struct({
  pid: Schema.Number,
  since: Schema.String,
  purpose: Purpose,
  phase: Schema.Literal("starting", "running", "stopping"),
  /** PostgreSQL's, once it runs; also part of the name of its socket. */
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
): Effect.Effect<Option.Option<HomeLock>, OsLock.LockFileUnusable, Scope.Scope> =>
  Effect.gen(function* () {
    const locked = yield* Effect.acquireRelease(
      OsLock.tryAcquire(path),
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

/** Another Gravitas process uses this home's PostgreSQL. */
export class HomeInUse extends Schema.TaggedError<HomeInUse>()("HomeInUse", {
  home: Schema.String,
  holder: Schema.OptionFromSelf(Holder),
  waited: Schema.DurationFromSelf
}) {
  override get message(): string {
    const who = Option.match(this.holder, {
      onNone: () => "another process",
      onSome: ({ pid, purpose, since }) => `another Gravitas ${purpose} (pid ${pid}, since ${since})`
    })
    const waited = Duration.toMillis(this.waited) < 1_000 ? "" : `, and did for ${Duration.format(this.waited)}`
    return (
      `the home ${this.home} is in use by ${who}${waited}. Stop it, or set GRAVITAS_HOME to a home of its own, or ` +
      "DATABASE_URL to another PostgreSQL."
    )
  }
}

/** Who runs the PostgreSQL that this process uses. */
export type ServerOwnership = Data.TaggedEnum<{
  /** This process: it has the lock until the scope closes. */
  Ours: { readonly lock: HomeLock }
  /** A running server. */
  Joined: {
    readonly holder: Holder
    readonly file: ConnectionFile.ConnectionFile
    readonly address: ConnectionFile.ServerAddress
    readonly version: string
  }
}>
export const ServerOwnership = Data.taggedEnum<ServerOwnership>()

/**
 * Decides what to do about the present holder. A command joins a running server; a second server is refused. A holder that is
 * stopping, or is a command, is waited for. Two commands run one after the other: the end of one must not stop PostgreSQL for
 * the other. None: the holder has not written itself yet, or the file names a dead process.
 */
export const decide = (holder: Option.Option<Holder>, purpose: Purpose): "join" | "refuse" | "wait" => {
  if (Option.isNone(holder) || holder.value.purpose === "command") return "wait"
  if (purpose === "server") return holder.value.phase === "stopping" ? "wait" : "refuse"
  return holder.value.phase === "running" ? "join" : "wait"
}

/** Acquires the home, or joins its holder. Waits at most `patience` for a holder that does not leave. */
export const takeOwnership = (
  place: DataLocation,
  purpose: Purpose,
  patience: Duration.Duration
): Effect.Effect<ServerOwnership, HomeInUse | NoPlaceForPostgres, Scope.Scope> =>
  Effect.gen(function* () {
    const path = Path.join(place.directory, "lock")
    const unreadable = (cause: ConnectionFile.ConnectionFileUnusable | OsLock.LockFileUnusable) =>
      new NoPlaceForPostgres({ home: place.home, reason: cause.message })
    const started = yield* Clock.currentTimeMillis
    let reported = false
    for (;;) {
      const lock = yield* Effect.mapError(tryAcquire(path, purpose), unreadable)
      if (Option.isSome(lock)) return ServerOwnership.Ours({ lock: lock.value })
      const holder = Option.filter(yield* readHolder(path), ({ pid }) => isRunning(pid))
      const waited = Duration.millis((yield* Clock.currentTimeMillis) - started)
      const decision = decide(holder, purpose)
      if (decision === "refuse") return yield* new HomeInUse({ home: place.home, holder, waited })
      if (decision === "join") {
        const file = yield* Effect.mapError(ConnectionFile.read(place.directory), unreadable)
        if (Option.isSome(file) && Option.isSome(holder) && file.value.port !== null) {
          const address = { host: file.value.host, port: file.value.port }
          const answer = yield* probe({ address, password: file.value.password, data: place.data })
          if (answer._tag === "Ready") {
            return ServerOwnership.Joined({ holder: holder.value, file: file.value, address, version: answer.version })
          }
        }
      }
      if (Duration.greaterThanOrEqualTo(waited, patience))
        return yield* new HomeInUse({ home: place.home, holder, waited })
      if (!reported && Duration.greaterThan(waited, "1 second")) {
        reported = true
        const who = Option.match(holder, { onNone: () => "another process", onSome: ({ pid }) => `process ${pid}` })
        yield* Effect.logInfo(`Waiting up to ${Duration.format(patience)} for ${who}, which uses ${place.home}`)
      }
      yield* Effect.sleep("50 millis")
    }
  })
