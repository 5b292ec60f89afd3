import { existsSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs"
import * as Fs from "node:fs/promises"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { parsePostmasterFile } from "../../src/embedded-postgres/OrphanedServer.ts"
import { childrenOf, isRunning, signal, stopPostmaster, worksIn } from "../../src/embedded-postgres/Postmaster.ts"

const prefix = "gravitas-test-"

const dataOf = (home: string): string => Path.join(home, "postgres", "data")

const readPid = (data: string): Option.Option<number> => {
  try {
    return Option.filter(
      Option.map(parsePostmasterFile(readFileSync(Path.join(data, "postmaster.pid"), "utf8")), ({ pid }) => pid),
      (pid) => isRunning(pid) && worksIn(pid, data) !== false
    )
  } catch {
    return Option.none()
  }
}

/** The pid of the PostgreSQL that runs on these data, if one does. */
export const postmasterPid = (data: string): Effect.Effect<Option.Option<number>> => Effect.sync(() => readPid(data))

/** Removes a home, and ends what may still run in it. */
const clear = (home: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    const pid = readPid(dataOf(home))
    if (Option.isSome(pid)) {
      const left = { pid: pid.value, isAlive: () => isRunning(pid.value) }
      yield* stopPostmaster(left, Duration.seconds(2))
    }
    yield* Effect.promise(() => Fs.rm(home, { recursive: true, force: true, maxRetries: 3 }))
  })

/** The same without a pause, for a run that is told to exit in the middle. */
const clearAtOnce = (home: string): void => {
  const pid = readPid(dataOf(home))
  if (Option.isSome(pid)) for (const one of [...childrenOf(pid.value), pid.value]) signal(one, "SIGKILL")
  rmSync(home, { recursive: true, force: true, maxRetries: 3 })
}

/** Linux's file system in memory, where making and dropping a database takes a fifth of the processor time. */
const memory = "/dev/shm"

/** Bytes that must be free there, many times what the servers of a run fill. */
const room = 4 * 1024 ** 3

const placeOfServers = async (): Promise<string> => {
  try {
    const { bavail, bsize } = await Fs.statfs(memory)
    return bavail * bsize < room ? Os.tmpdir() : memory
  } catch {
    return Os.tmpdir()
  }
}

const homeIn = (place: () => Promise<string>) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const home = await Fs.realpath(await Fs.mkdtemp(Path.join(await place(), `${prefix}${process.pid}-`)))
      await Fs.chmod(home, 0o711)
      return home
    }),
    clear
  )

/** A directory of one's own, which any user may enter: root's PostgreSQL runs as another. Gone when the scope closes. */
export const temporaryHome = homeIn(async () => Os.tmpdir())

/** One for a PostgreSQL of which nothing has to be on a disk. */
export const serverHome = homeIn(placeOfServers)

/** All homes there are, with the pids of their makers, which their names carry. */
const everyHome = (): ReadonlyArray<{ readonly home: string; readonly maker: number }> =>
  [realpathSync(Os.tmpdir()), memory].filter(existsSync).flatMap((directory) =>
    readdirSync(directory).flatMap((name) => {
      const maker = Number(new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1])
      return Number.isNaN(maker) ? [] : [{ home: Path.join(directory, name), maker }]
    })
  )

/** Clears the homes of runs that were killed. */
export const clearOrphanedHomes: Effect.Effect<void> = Effect.suspend(() =>
  Effect.forEach(
    everyHome().filter(({ maker }) => !isRunning(maker)),
    ({ home }) => clear(home),
    { discard: true }
  )
)

/** Clears the homes of this run, its workers' too, when it is told to exit in the middle. */
export const clearHomesAtExit: Effect.Effect<void> = Effect.sync(() => {
  // Before vitest's own listener, which exits for good.
  process.prependOnceListener("exit", () => {
    const family = [process.pid, ...childrenOf(process.pid)]
    for (const { home, maker } of everyHome()) {
      if (family.includes(maker) || !isRunning(maker)) clearAtOnce(home)
    }
  })
})
