import { execFile } from "node:child_process"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { promisify } from "node:util"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { EmbeddedPostgres, type EmbeddedPostgresUnavailable } from "../../src/embedded-postgres/EmbeddedPostgres.ts"
import { childrenOf, isRunning, signal } from "../../src/embedded-postgres/Postmaster.ts"
import { postmasterPid, serverHome } from "./TemporaryHome.ts"

/** A PostgreSQL of one test's own, to be mistreated. */
export interface TestPostgres {
  /** Superuser `gravitas`, database `gravitas`; the same after every start. */
  readonly url: Redacted.Redacted
  /** Ends it as an operator does: clients are cut off, data are whole. */
  readonly stop: Effect.Effect<void>
  /** Starts it again at the same address and on the same data, after `stop` or `kill`; ready when it returns. */
  readonly start: Effect.Effect<void, EmbeddedPostgresUnavailable>
  /** SIGSTOP to all its processes: connections stay open and nothing answers. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  /** SIGKILL to all its processes, as a lost machine would. */
  readonly kill: Effect.Effect<void>
}

/**
 * Nothing here outlives the run, so nothing needs to reach the disk. Not `synchronous_commit: "off"`, though: with it a
 * server that is killed loses what it had confirmed, and tests count that.
 */
export const testSettings = { fsync: "off", full_page_writes: "off" }

export interface TestPostgresOptions {
  readonly settings?: Readonly<Record<string, string>>
}

const copy = promisify(execFile)

/** Where a cluster that was never used is kept for the run; in a variable, so that test processes inherit it. */
const kept = "GRAVITAS_TEST_CLUSTER"

/** Makes a cluster once for the run: a new one costs a second of processor time, its copy a tenth. */
export const keepCluster: Effect.Effect<void, EmbeddedPostgresUnavailable, Scope.Scope> = Effect.gen(function* () {
  const home = yield* serverHome
  yield* Effect.scoped(Layer.build(EmbeddedPostgres.layer({ home, join: false, settings: testSettings })))
  yield* Effect.promise(async () => {
    await Fs.rm(Path.join(home, "postgres", "lock"), { force: true })
  })
  process.env[kept] = Path.join(home, "postgres")
})

/** Puts a copy of the run's cluster into `home`; its programs are shared. Outside a run a start makes a cluster by itself. */
const placeCluster = async (home: string): Promise<void> => {
  const from = process.env[kept]
  if (from === undefined) return
  const to = Path.join(home, "postgres")
  const { gid, mode, uid } = await Fs.stat(from)
  await Fs.mkdir(to)
  await Fs.chmod(to, mode & 0o777)
  await Fs.chown(to, uid, gid)
  // With owners and modes, which PostgreSQL checks.
  await copy("cp", ["-Rp", Path.join(from, "data"), Path.join(from, "connection.json"), to])
  await Fs.symlink(Path.join(from, "binaries"), Path.join(to, "binaries"))
}

/** A home whose PostgreSQL was made before and stopped in order, for tests of what comes after the first start. */
export const clusterHome = Effect.tap(serverHome, (home) => Effect.promise(() => placeCluster(home)))

/** Always an embedded one, whatever `TEST_DATABASE_URL` says. Stopped and removed when the scope closes. */
export const testPostgres = (
  options: TestPostgresOptions = {}
): Effect.Effect<TestPostgres, EmbeddedPostgresUnavailable, Scope.Scope> =>
  Effect.gen(function* () {
    const home = yield* clusterHome
    const layer = EmbeddedPostgres.layer({ home, join: false, settings: { ...testSettings, ...options.settings } })
    let run: Option.Option<Scope.CloseableScope> = Option.none()

    const begin = Effect.gen(function* () {
      const scope = yield* Scope.make()
      run = Option.some(scope)
      return Context.get(yield* Layer.buildWithScope(layer, scope), EmbeddedPostgres)
    })
    const end = Effect.suspend(() => {
      const scope = run
      run = Option.none()
      return Option.isNone(scope) ? Effect.void : Scope.close(scope.value, Exit.void)
    })
    yield* Effect.addFinalizer(() => outOfTestTime(end))
    const { dataDirectory, url } = yield* outOfTestTime(begin)

    /** The postmaster first: stopped or dead, it makes no more children. */
    const toAll = (name: NodeJS.Signals) =>
      Effect.gen(function* () {
        const pid = yield* postmasterPid(dataDirectory)
        if (Option.isNone(pid)) return []
        signal(pid.value, name === "SIGKILL" ? "SIGSTOP" : name)
        const family = [...childrenOf(pid.value), pid.value]
        for (const one of family) signal(one, name)
        return family
      })
    const restart = Effect.zipRight(end, begin)
    return {
      url,
      stop: outOfTestTime(Effect.zipRight(toAll("SIGCONT"), end)),
      start: outOfTestTime(Effect.asVoid(restart)),
      pause: Effect.asVoid(toAll("SIGSTOP")),
      resume: Effect.asVoid(toAll("SIGCONT")),
      kill: outOfTestTime(
        Effect.flatMap(toAll("SIGKILL"), (family) =>
          Effect.suspend(() => Effect.succeed(family.some(isRunning))).pipe(
            Effect.repeat({ while: (running) => running, schedule: Schedule.spaced("10 millis") })
          )
        ).pipe(Effect.zipRight(end))
      )
    }
  })

/** A server's start and stop take real time, also in a test whose clock stands still. */
const outOfTestTime = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  effect.pipe(Effect.withClock(Clock.make()), Logger.withMinimumLogLevel(LogLevel.Warning))
