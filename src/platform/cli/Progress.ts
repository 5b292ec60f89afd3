import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { isTerminal } from "../telemetry/Logging.ts"

/** Rewritten in place, and gone when the work is done. */
const eraseLine = "\r\u001b[2K"

const write = (text: string) => Effect.sync(() => void process.stderr.write(text))

const onTerminal = (line: Effect.Effect<string>) =>
  Effect.flatMap(line, (text) => write(`${eraseLine}${text}`)).pipe(
    Effect.repeat(Schedule.spaced("1 second")),
    Effect.ensuring(write(eraseLine)),
    Effect.delay("1 second")
  )

const inPipe = (line: Effect.Effect<string>) =>
  Effect.flatMap(line, (text) => Effect.logInfo(text)).pipe(
    Effect.repeat(Schedule.spaced("5 seconds")),
    Effect.delay("5 seconds")
  )

/** While `effect` lasts, says on stderr what runs and for how long: a line of a terminal, or of the log every five seconds. */
export const withProgress = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.scoped(
    Effect.gen(function* () {
      const begun = yield* Clock.currentTimeMillis
      const line = Effect.map(
        Clock.currentTimeMillis,
        (now) => `${what}: running for ${Duration.format(Duration.seconds(Math.round((now - begun) / 1_000)))}`
      )
      yield* Effect.forkScoped(isTerminal("stderr") ? onTerminal(line) : inPipe(line))
      return yield* effect
    })
  )
