import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { isSocket, type ServerAddress } from "./ConnectionFile.ts"
import { isRunning, type Postmaster, stopPostmaster, worksIn } from "./Postmaster.ts"
import { probe } from "./Probe.ts"

/** What a running PostgreSQL writes about itself to `postmaster.pid` (its `src/include/utils/pidfile.h`). */
interface PostmasterFile {
  readonly pid: number
  readonly data: string
  /** None at the beginning of a start. */
  readonly address: Option.Option<ServerAddress>
  /** Whether it listens on an address of TCP. */
  readonly tcp: boolean
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
    address: Option.map(positive(lines[3]), (port) => ({ host: lines[4]?.trim() || "127.0.0.1", port })),
    tcp: (lines[5]?.trim() ?? "") !== "",
    status: lines[7]?.trim() ?? ""
  }))
}

interface OrphanOptions {
  readonly data: string
  /** Where a server of this program listens; null for any port of the loopback address. */
  readonly wanted: { readonly address: ServerAddress | null; readonly tcp: boolean }
  readonly password: Redacted.Redacted
  /** For a server that is starting or stopping. */
  readonly patience: Duration.Duration
  readonly stopPatience: Duration.Duration
}

/** A running server that this process adopted. */
export interface OrphanedServer {
  readonly postmaster: Postmaster
  readonly address: ServerAddress
  readonly version: string
}

const readFile = (data: string): Effect.Effect<Option.Option<PostmasterFile>> =>
  Effect.promise(() => Fs.readFile(Path.join(data, "postmaster.pid"), "utf8").catch(() => "")).pipe(
    Effect.map(parsePostmasterFile)
  )

const isWanted = ({ address, tcp }: OrphanOptions["wanted"], found: ServerAddress, foundTcp: boolean): boolean =>
  tcp === foundTcp && (address === null ? !isSocket(found) : address.host === found.host && address.port === found.port)

/**
 * Adopts the PostgreSQL that a killed process of ours left running on these data, or stops it if it does not answer, or listens
 * elsewhere, as those of earlier versions do. Returns None if PostgreSQL can be started. Requires the home's lock: a server that
 * runs without it is orphaned.
 *
 * `postmaster.pid` alone proves nothing, since its pid may belong to another process by now (in a container it soon does).
 * The working directory of the process is proof, and so is an answer that knows our password and names our data.
 */
export const adoptOrStop = Effect.fn("EmbeddedPostgres.predecessor")(function* (options: OrphanOptions) {
  const end = (yield* Clock.currentTimeMillis) + Duration.toMillis(options.patience)
  for (;;) {
    const found = yield* readFile(options.data)
    if (Option.isNone(found) || !isRunning(found.value.pid)) return Option.none<OrphanedServer>()
    const { address, pid, status, tcp } = found.value
    const postmaster = { pid, isAlive: () => isRunning(pid) }
    const ours = worksIn(pid, options.data)
    if (ours === false) {
      // Another program has the pid. PostgreSQL would take it for a running postmaster of the same user.
      yield* Effect.logWarning(`Removing a stale postmaster.pid in ${options.data}: process ${pid} is not PostgreSQL's`)
      yield* Effect.promise(() => Fs.rm(Path.join(options.data, "postmaster.pid"), { force: true }))
      return Option.none<OrphanedServer>()
    }
    if (Option.isSome(address) && status !== "stopping") {
      const answer = yield* probe({ address: address.value, password: options.password, data: options.data })
      if (answer._tag === "Ready") {
        if (isWanted(options.wanted, address.value, tcp)) {
          return Option.some<OrphanedServer>({ postmaster, address: address.value, version: answer.version })
        }
        yield* Effect.logInfo(`The PostgreSQL (pid ${pid}) of a killed process listens elsewhere; starting it again`)
        yield* stopPostmaster(postmaster, options.stopPatience)
        return Option.none<OrphanedServer>()
      }
    }
    if ((yield* Clock.currentTimeMillis) >= end) {
      // Without proof it is left alone: PostgreSQL then refuses to start on the same data, and says so.
      if (ours !== true) return Option.none<OrphanedServer>()
      yield* Effect.logWarning(`An earlier PostgreSQL (pid ${pid}) in ${options.data} does not answer; stopping it`)
      yield* stopPostmaster(postmaster, options.stopPatience)
      return Option.none<OrphanedServer>()
    }
    yield* Effect.sleep("50 millis")
  }
})
