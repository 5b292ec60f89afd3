import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { isRunning, type Postmaster, stopPostmaster, worksIn } from "./Postmaster.ts"
import { probe } from "./Probe.ts"

/** What a running PostgreSQL writes about itself to `postmaster.pid` (its `src/include/utils/pidfile.h`). */
interface PostmasterFile {
  readonly pid: number
  readonly data: string
  /** None at the beginning of a start. */
  readonly port: Option.Option<number>
  /** "starting", "stopping", "ready" or "standby"; empty at the beginning of a start. */
  readonly status: string
}

const positive = (line: string | undefined): Option.Option<number> => {
  const value = Number(line?.trim())
  return Number.isInteger(value) && value > 0 ? Option.some(value) : Option.none()
}

/** Returns None if the text is not (yet) such a file. A single-user backend writes a negative pid; it is not a postmaster. */
export const parsePostmasterFile = (text: string): Option.Option<PostmasterFile> => {
  const lines = text.split("\n")
  return Option.map(positive(lines[0]), (pid) => ({
    pid,
    data: lines[1]?.trim() ?? "",
    port: positive(lines[3]),
    status: lines[7]?.trim() ?? ""
  }))
}

interface OrphanOptions {
  readonly data: string
  readonly password: Redacted.Redacted
  /** For a server that is starting or stopping. */
  readonly patience: Duration.Duration
  readonly stopPatience: Duration.Duration
}

/** A running server that this process adopted. */
export interface OrphanedServer {
  readonly postmaster: Postmaster
  readonly version: string
}

const readFile = (data: string): Effect.Effect<Option.Option<PostmasterFile>> =>
  Effect.promise(() => Fs.readFile(Path.join(data, "postmaster.pid"), "utf8").catch(() => "")).pipe(
    Effect.map(parsePostmasterFile)
  )

/**
 * Adopts the PostgreSQL that a killed process of ours left running on these data, or stops it if it does not answer. Returns
 * None if PostgreSQL can be started. Requires the home's lock: a server that runs without it is orphaned.
 *
 * `postmaster.pid` alone proves nothing, since its pid may belong to another process by now (in a container it soon does).
 * The working directory of the process is proof, and so is an answer that knows our password and names our data.
 */
export const adoptOrStop = Effect.fn("EmbeddedPostgres.predecessor")(function* (options: OrphanOptions) {
  const end = (yield* Clock.currentTimeMillis) + Duration.toMillis(options.patience)
  for (;;) {
    const found = yield* readFile(options.data)
    if (Option.isNone(found) || !isRunning(found.value.pid)) return Option.none<OrphanedServer>()
    const { pid, port, status } = found.value
    const ours = worksIn(pid, options.data)
    if (ours === false) {
      // Another program has the pid. PostgreSQL would take it for a running postmaster of the same user.
      yield* Effect.logWarning(`Removing a stale postmaster.pid in ${options.data}: process ${pid} is not PostgreSQL's`)
      yield* Effect.promise(() => Fs.rm(Path.join(options.data, "postmaster.pid"), { force: true }))
      return Option.none<OrphanedServer>()
    }
    if (Option.isSome(port) && status !== "stopping") {
      const answer = yield* probe({ port: port.value, password: options.password, data: options.data })
      if (answer._tag === "Ready") {
        const postmaster = { pid, port: port.value, isAlive: () => isRunning(pid) }
        return Option.some<OrphanedServer>({ postmaster, version: answer.version })
      }
    }
    if ((yield* Clock.currentTimeMillis) >= end) {
      // Without proof it is left alone: PostgreSQL then refuses to start on the same data, and says so.
      if (ours !== true) return Option.none<OrphanedServer>()
      yield* Effect.logWarning(`An earlier PostgreSQL (pid ${pid}) in ${options.data} does not answer; stopping it`)
      yield* stopPostmaster(
        { pid, port: Option.getOrElse(port, () => 0), isAlive: () => isRunning(pid) },
        options.stopPatience
      )
      return Option.none<OrphanedServer>()
    }
    yield* Effect.sleep("50 millis")
  }
})
