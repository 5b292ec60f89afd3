import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { ClusterUnusable } from "./Cluster.ts"
import type { ServerAddress } from "./ConnectionFile.ts"
import { freePort, logTail, type Postmaster, type StartOptions, spawnPostmaster, stopPostmaster } from "./Postmaster.ts"
import { probe } from "./Probe.ts"
import * as SocketDirectory from "./SocketDirectory.ts"

interface LaunchOptions extends Omit<StartOptions, "address"> {
  /** Null: any free port of the loopback address. */
  readonly address: ServerAddress | null
  /** Of the last run, used again if it is free. */
  readonly lastPort: number | null
  readonly password: Redacted.Redacted
  readonly startDeadline: Duration.Duration
  readonly stopPatience: Duration.Duration
}

/**
 * Why a start failed, by the last lines of its log. `port`: another program took the port after the check. `predecessor`:
 * processes of a killed PostgreSQL hold its shared memory for a moment longer. `final`: anything else.
 */
export const reasonOf = (log: ReadonlyArray<string>): "port" | "predecessor" | "final" => {
  const text = log.join("\n")
  if (/could not bind IPv4|could not create any TCP\/IP sockets/.test(text)) return "port"
  return /pre-existing shared memory block|lock file "postmaster\.pid" (already exists|is empty)/.test(text)
    ? "predecessor"
    : "final"
}

/** Starts PostgreSQL and waits until it answers; the scope stops it. */
export const launch = Effect.fn("EmbeddedPostgres.launch")(function* (options: LaunchOptions) {
  const end = (yield* Clock.currentTimeMillis) + Duration.toMillis(options.startDeadline)
  const left = Effect.map(Clock.currentTimeMillis, (now) => end - now)
  const failed = (reason: string) =>
    Effect.flatMap(logTail(options.logFile), (log) => new ClusterUnusable({ directory: options.data, reason, log }))

  /** None if PostgreSQL ended for a reason that a new start may fix. */
  const awaitAnswer = (postmaster: Postmaster, address: ServerAddress) =>
    Effect.gen(function* () {
      let latest = "it did not answer"
      let foreign = 0
      while ((yield* left) > 0) {
        if (!postmaster.isAlive()) {
          const reason = reasonOf(yield* logTail(options.logFile))
          if (reason === "port" && options.address !== null) {
            return yield* failed(`EMBEDDED_POSTGRES_PORT ${options.address.port} is used by another program`)
          }
          if (reason === "final") return yield* failed("PostgreSQL ended during its start")
          return Option.none<string>()
        }
        const answer = yield* probe({ address, password: options.password, data: options.data })
        if (answer._tag === "Ready") return Option.some(answer.version)
        latest = answer.reason
        // Another server has the port and ours is about to end; or ours has another password, which is final.
        if (answer._tag === "Foreign" && ++foreign > 40) return yield* failed(latest)
        yield* Effect.sleep("25 millis")
      }
      return yield* failed(`no answer within ${Duration.format(options.startDeadline)}: ${latest}`)
    })

  let wanted = Option.fromNullable(options.lastPort)
  while ((yield* left) > 0) {
    const address = options.address ?? { host: "127.0.0.1", port: yield* freePort(wanted) }
    yield* SocketDirectory.clear(address)
    const postmaster = yield* Effect.acquireRelease(spawnPostmaster({ ...options, address }), (started) =>
      stopPostmaster(started, options.stopPatience)
    )
    const version = yield* awaitAnswer(postmaster, address)
    if (Option.isSome(version)) return { postmaster, address, version: version.value }
    wanted = Option.none()
    yield* Effect.sleep("200 millis")
  }
  return yield* failed(`it did not start within ${Duration.format(options.startDeadline)}`)
})
