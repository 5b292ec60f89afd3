import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { type Postmaster, stopPostmaster } from "./Postmaster.ts"
import { type PostmasterFile, parse } from "./PostmasterFile.ts"
import { probe } from "./Probe.ts"
import { isRunning, worksIn } from "./Process.ts"

export interface PredecessorOptions {
  readonly data: string
  readonly password: Redacted.Redacted
  /** For one that is in the middle of its start or its end. */
  readonly patience: Duration.Duration
  readonly stopPatience: Duration.Duration
}

/** An orphan that is ours now. */
export interface Predecessor {
  readonly postmaster: Postmaster
  readonly version: string
}

const readFile = (data: string): Effect.Effect<Option.Option<PostmasterFile>> =>
  Effect.promise(() => Fs.readFile(Path.join(data, "postmaster.pid"), "utf8").catch(() => "")).pipe(Effect.map(parse))

/**
 * The PostgreSQL that a killed process of ours left running on these data: taken over where it answers, else ended. None
 * when the way is free for a start. Only the holder of the home's lock may ask: whoever runs there then is an orphan.
 *
 * `postmaster.pid` alone proves nothing, since its pid may be another process's by now (in a container it soon is). The
 * working directory of the process does, and so does an answer that knows our password and names our data.
 */
export const settle = Effect.fn("EmbeddedPostgres.predecessor")(function* (options: PredecessorOptions) {
  const end = (yield* Clock.currentTimeMillis) + Duration.toMillis(options.patience)
  for (;;) {
    const found = yield* readFile(options.data)
    if (Option.isNone(found) || !isRunning(found.value.pid)) return Option.none<Predecessor>()
    const { pid, port, status } = found.value
    const ours = worksIn(pid, options.data)
    if (ours === false) {
      // A stranger has the pid. PostgreSQL would take it for a living postmaster when it runs as the same user.
      yield* Effect.logWarning(`Removing a stale postmaster.pid in ${options.data}: process ${pid} is not PostgreSQL's`)
      yield* Effect.promise(() => Fs.rm(Path.join(options.data, "postmaster.pid"), { force: true }))
      return Option.none<Predecessor>()
    }
    if (Option.isSome(port) && status !== "stopping") {
      const answer = yield* probe({ port: port.value, password: options.password, data: options.data })
      if (answer._tag === "Ready") {
        const postmaster = { pid, port: port.value, isAlive: () => isRunning(pid) }
        return Option.some<Predecessor>({ postmaster, version: answer.version })
      }
    }
    if ((yield* Clock.currentTimeMillis) >= end) {
      // Unproven, it is left alone: PostgreSQL then refuses to start on the same data, and says so.
      if (ours !== true) return Option.none<Predecessor>()
      yield* Effect.logWarning(`An earlier PostgreSQL (pid ${pid}) in ${options.data} does not answer; stopping it`)
      yield* stopPostmaster(
        { pid, port: Option.getOrElse(port, () => 0), isAlive: () => isRunning(pid) },
        options.stopPatience
      )
      return Option.none<Predecessor>()
    }
    yield* Effect.sleep("50 millis")
  }
})
