import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, constants, ftruncateSync, readdirSync, readFileSync, readlinkSync } from "node:fs"
import * as Fs from "node:fs/promises"
import * as Net from "node:net"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { reasonOf } from "../platform/os/FileTrust.ts"
import * as PrivateFile from "../platform/os/PrivateFile.ts"
import type { Binaries } from "./Binaries.ts"
import { ClusterUnusable, environment, identity } from "./Cluster.ts"
import { isSocket, type ServerAddress } from "./ConnectionFile.ts"
import type { OsAccount } from "./DataLocation.ts"

/** State and parent as in proc_pid_stat(5), read after the name, which may hold any character. */
const readStat = (pid: number): { readonly state: string; readonly parent: number } | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    const [state = "", parent = ""] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return { state, parent: Number(parent) }
  } catch {
    return undefined
  }
}

/** A process that has ended accepts signals until its parent has waited for it. */
const isZombie = (pid: number): boolean => /[ZX]/.test(readStat(pid)?.state ?? "")

/** Whether a process with that id runs, ours or another user's. */
export const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "EPERM")) return false
  }
  return !isZombie(pid)
}

/** Whether the process works in that directory, as a postmaster does in its data; undefined if the system does not say. */
export const worksIn = (pid: number, directory: string): boolean | undefined => {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === directory
  } catch {
    return undefined
  }
}

/** Sends a signal; a process that has ended is not an error. */
export const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name)
  } catch {
    // It ended in the meantime.
  }
}

/**
 * The direct children, by /proc; empty if there is none. The shorter `children` file is not in every kernel. A process group
 * would not do: PostgreSQL's backends lead groups of their own.
 */
export const childrenOf = (parent: number): ReadonlyArray<number> => {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => readStat(pid)?.parent === parent)
  } catch {
    return []
  }
}

/** A server process of PostgreSQL that this process started or adopted. */
export interface Postmaster {
  readonly pid: number
  readonly isAlive: () => boolean
}

/** Returns a port that was free a moment ago: the wanted one if possible. */
export const freePort = (wanted: Option.Option<number>): Effect.Effect<number> => {
  const tryPort = (port: number) =>
    Effect.async<number, unknown>((resume) => {
      const server = Net.createServer()
      server.on("error", (cause) => resume(Effect.fail(cause)))
      server.listen({ host: "127.0.0.1", port, exclusive: true }, () => {
        const address = server.address()
        server.close(() =>
          resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : port))
        )
      })
    })
  return Effect.firstSuccessOf([...Option.toArray(wanted), 0].map(tryPort)).pipe(Effect.orDie)
}

export interface StartOptions {
  readonly binaries: Binaries
  readonly data: string
  readonly address: ServerAddress
  /** Whether it also listens on the port of the loopback address. */
  readonly tcp: boolean
  readonly account: Option.Option<OsAccount>
  readonly logFile: string
  readonly settings: Readonly<Record<string, string>>
}

const argumentsOf = ({ address, ...options }: StartOptions): ReadonlyArray<string> => {
  const settings = {
    listen_addresses: options.tcp ? "127.0.0.1" : "",
    // A list; in quotes a name may hold a comma.
    unix_socket_directories: isSocket(address) ? `"${address.host.replaceAll('"', '""')}"` : "",
    timezone: "UTC",
    log_timezone: "UTC",
    // The log goes to stderr, which is our log file.
    logging_collector: "off",
    ...options.settings
  }
  return [
    "-D",
    options.data,
    "-p",
    String(address.port),
    ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])
  ]
}

/**
 * Starts PostgreSQL in a session of its own: a SIGINT to our process group (Ctrl-C) must not reach it, since the services
 * still have to drain into it. Returns before it answers.
 */
export const spawnPostmaster = (options: StartOptions): Effect.Effect<Postmaster, ClusterUnusable> =>
  Effect.async<ChildProcess, ClusterUnusable>((resume) => {
    const failed = (cause: unknown) => {
      const reason = `postgres did not start: ${reasonOf(cause)}`
      resume(Effect.fail(new ClusterUnusable({ directory: options.data, reason, log: [] })))
    }
    try {
      const log = PrivateFile.open(options.logFile, constants.O_WRONLY | constants.O_CREAT)
      try {
        ftruncateSync(log)
        const child = spawn(options.binaries.postgres, argumentsOf(options), {
          cwd: options.data,
          env: environment,
          detached: true,
          stdio: ["ignore", log, log],
          ...identity(options.account)
        })
        child.once("error", failed)
        child.once("spawn", () => resume(Effect.succeed(child)))
      } finally {
        closeSync(log)
      }
    } catch (cause) {
      failed(cause)
    }
  }).pipe(
    Effect.flatMap((child) => {
      const { pid } = child
      if (pid === undefined) return Effect.dieMessage("a spawned process has a pid")
      // It must not keep this process alive.
      child.unref()
      return Effect.succeed({
        pid,
        isAlive: () => child.exitCode === null && child.signalCode === null
      })
    }),
    Effect.uninterruptible
  )

/** The last lines that the server wrote. */
export const logTail = (logFile: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(() =>
    Fs.readFile(logFile, "utf8").then(
      (text) => text.trimEnd().split("\n").slice(-12),
      () => []
    )
  )

/** Whether it ended within the limit. */
const awaitEnd = (postmaster: Postmaster, limit: Duration.Duration): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    const end = (yield* Clock.currentTimeMillis) + Duration.toMillis(limit)
    while (postmaster.isAlive()) {
      if ((yield* Clock.currentTimeMillis) >= end) return false
      yield* Effect.sleep("20 millis")
    }
    return true
  })

/**
 * Stops the server: fast shutdown (clients are disconnected, data flushed); after `patience` immediate shutdown (the next
 * start recovers); at last SIGKILL for it and its children. Returns when it has ended.
 */
export const stopPostmaster = (postmaster: Postmaster, patience: Duration.Duration): Effect.Effect<void> =>
  Effect.gen(function* () {
    // A stopped process (SIGSTOP) handles no signal but SIGKILL until it continues; the same is true of its children.
    const send = (name: NodeJS.Signals) =>
      Effect.sync(() => {
        signal(postmaster.pid, name)
        for (const pid of [postmaster.pid, ...childrenOf(postmaster.pid)]) signal(pid, "SIGCONT")
      })
    if (!postmaster.isAlive()) return
    yield* send("SIGINT")
    if (yield* awaitEnd(postmaster, patience)) return
    yield* Effect.logWarning(
      `The embedded PostgreSQL (pid ${postmaster.pid}) did not stop within ${Duration.format(patience)}; ` +
        "stopping it at once. Its next start recovers from its log."
    )
    yield* send("SIGQUIT")
    // PostgreSQL itself waits 5 s before it kills its children.
    if (yield* awaitEnd(postmaster, Duration.seconds(6))) return
    const family = [postmaster.pid, ...childrenOf(postmaster.pid)]
    for (const pid of family) signal(pid, "SIGKILL")
    yield* awaitEnd(postmaster, Duration.seconds(2))
  })
