import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { ClusterUnusable } from "./Cluster.ts"
import { freePort, logTail, type Postmaster, type StartOptions, spawnPostmaster, stopPostmaster } from "./Postmaster.ts"
import { probe } from "./Probe.ts"

interface LaunchOptions extends Omit<StartOptions, "port"> {
  /** Used again if it is free. */
  readonly wantedPort: Option.Option<number>
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
  const awaitAnswer = (postmaster: Postmaster) =>
    Effect.gen(function* () {
      let latest = "it did not answer"
      let foreign = 0
      while ((yield* left) > 0) {
        if (!postmaster.isAlive()) {
          const log = yield* logTail(options.logFile)
          if (reasonOf(log) === "final") return yield* failed("PostgreSQL ended during its start")
          return Option.none<string>()
        }
        const answer = yield* probe({ port: postmaster.port, password: options.password, data: options.data })
        if (answer._tag === "Ready") return Option.some(answer.version)
        latest = answer.reason
        // Another server has the port and ours is about to end; or ours has another password, which is final.
        if (answer._tag === "Foreign" && ++foreign > 40) return yield* failed(latest)
        yield* Effect.sleep("25 millis")
      }
      return yield* failed(`no answer within ${Duration.format(options.startDeadline)}: ${latest}`)
    })

  let wanted = options.wantedPort
  while ((yield* left) > 0) {
    const port = yield* freePort(wanted)
    const postmaster = yield* Effect.acquireRelease(spawnPostmaster({ ...options, port }), (started) =>
      stopPostmaster(started, options.stopPatience)
    )
    const version = yield* awaitAnswer(postmaster)
    if (Option.isSome(version)) return { postmaster, version: version.value }
    wanted = Option.none()
    yield* Effect.sleep("200 millis")
  }
  return yield* failed(`it did not start within ${Duration.format(options.startDeadline)}`)
})
