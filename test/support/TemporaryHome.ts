import * as Fs from "node:fs/promises"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { stopPostmaster } from "../../src/platform/embedded/Postmaster.ts"
import { parse } from "../../src/platform/embedded/PostmasterFile.ts"
import { isRunning, worksIn } from "../../src/platform/embedded/Process.ts"

const prefix = "gravitas-test-"

/** The pid of the PostgreSQL that runs on a home's data, if one does. */
export const postmasterPid = (data: string): Effect.Effect<Option.Option<number>> =>
  Effect.promise(() => Fs.readFile(Path.join(data, "postmaster.pid"), "utf8").catch(() => "")).pipe(
    Effect.map((text) =>
      Option.filter(
        Option.map(parse(text), ({ pid }) => pid),
        (pid) => isRunning(pid) && worksIn(pid, data) !== false
      )
    )
  )

/** Removes a home, and what may still run in it. */
const clear = (home: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    const pid = yield* postmasterPid(Path.join(home, "postgres", "data"))
    if (Option.isSome(pid)) {
      const left = { pid: pid.value, port: 0, isAlive: () => isRunning(pid.value) }
      yield* stopPostmaster(left, Duration.seconds(2))
    }
    yield* Effect.promise(() => Fs.rm(home, { recursive: true, force: true, maxRetries: 3 }))
  })

/** A directory of one's own, which any user may enter: root's PostgreSQL runs as another. Gone when the scope closes. */
export const temporaryHome = Effect.acquireRelease(
  Effect.promise(async () => {
    const home = await Fs.mkdtemp(Path.join(Os.tmpdir(), `${prefix}${process.pid}-`))
    await Fs.chmod(home, 0o711)
    return Fs.realpath(home)
  }),
  clear
)

/** Clears the homes of runs that were killed: their names carry the pid of their maker. */
export const clearOrphanedHomes: Effect.Effect<void> = Effect.gen(function* () {
  const directory = yield* Effect.promise(() => Fs.realpath(Os.tmpdir()))
  const names = yield* Effect.promise(() => Fs.readdir(directory))
  for (const name of names) {
    const maker = Number(new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1] ?? process.pid)
    if (!isRunning(maker)) yield* clear(Path.join(directory, name))
  }
})
