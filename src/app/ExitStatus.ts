import { performance } from "node:perf_hooks"
import { isatty } from "node:tty"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { ExitCode, exitCodeOf } from "../platform/cli/ExitCode.ts"
import { visibleLines } from "../platform/cli/TerminalText.ts"
import { Settings } from "../platform/config/Settings.ts"
import { Departure } from "../platform/os/Departure.ts"
import type { ShutdownReport } from "../platform/os/ShutdownReport.ts"
import type { StandardStreams } from "../platform/os/StandardStreams.ts"

/** What the edges of the process record for its end. */
export interface ExitStatus {
  signal: "SIGINT" | "SIGTERM" | undefined
  /** A server that stops on a signal succeeds; a command is cut short. */
  serving: boolean
  /** Counts the audit events that were accepted and could not be written. */
  readonly report: typeof ShutdownReport.Service
}

const signalNumber = { SIGINT: 2, SIGTERM: 15 } as const

/**
 * 0 after an orderly end, 128 + the signal's number for a command cut short, else the failure's own code. `isOutputDropped`: stdout
 * did not accept the command's result.
 */
export const exitCode = (exit: Exit.Exit<unknown, unknown>, ending: ExitStatus, isOutputDropped = false): number => {
  if (Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)) {
    const failure = Cause.failureOption(exit.cause)
    if (Option.isNone(failure)) return 1
    return ValidationError.isValidationError(failure.value) ? ExitCode.usage : exitCodeOf(failure.value)
  }
  if (ending.report.unwritten() > 0) return ExitCode.unwritten
  if (ending.serving) return 0
  if (Exit.isSuccess(exit)) return isOutputDropped ? ExitCode.outputDropped : 0
  return 128 + signalNumber[ending.signal ?? "SIGINT"]
}

/** What stderr shows: the message of an expected failure, the whole cause of a defect; foreign text in it is escaped. */
export const exitMessage = (exit: Exit.Exit<unknown, unknown>): string | undefined => {
  const message = messageOf(exit)
  return message === undefined ? undefined : visibleLines(message)
}

const messageOf = (exit: Exit.Exit<unknown, unknown>): string | undefined => {
  if (Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause)) return undefined
  const failure = Cause.failureOption(exit.cause)
  if (Option.isNone(failure)) return `gravitas: internal error\n${Cause.pretty(exit.cause)}`
  // The command line has printed its own message.
  if (ValidationError.isValidationError(failure.value)) return undefined
  return failure.value instanceof Error ? `gravitas: ${failure.value.message}` : Cause.pretty(exit.cause)
}

/** What stderr shows when a result was dropped. A reader that left, such as `head`, wants no message. */
export const outputMessage = (problem: string | undefined): string | undefined =>
  problem === "EPIPE" ? undefined : `gravitas: the result could not be written to stdout (${problem})`

/** How long a server, or a command that a signal cut short, waits for the readers of its output. */
const readersGraceMillis = 1_000

/**
 * Calls `end` once stdout and stderr have accepted all that was written: `process.exit` drops what waits for a slow reader. A command
 * waits as long as its reader needs, or until a signal.
 */
export const afterOutput = (streams: StandardStreams, ending: ExitStatus, end: () => void): void => {
  let waiting = 2
  let isEnded = false
  const finish = () => {
    if (isEnded) return
    isEnded = true
    end()
  }
  for (const stream of [streams.stdout, streams.stderr]) {
    // Accepted after everything before it.
    stream.write("", () => {
      waiting -= 1
      if (waiting === 0) finish()
    })
  }
  if (ending.serving || ending.signal !== undefined) setTimeout(finish, readersGraceMillis)
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, finish)
}

/** With `SHUTDOWN_DELAY`, `/readyz` says 503 from the signal on, while requests are answered for that long before anything closes. */
export const delayedEnd = Layer.scopedDiscard(
  Effect.gen(function* () {
    const { shutdownDelay } = yield* Settings
    const departure = yield* Departure
    if (Duration.toMillis(shutdownDelay) === 0) return
    yield* Effect.addFinalizer(() =>
      departure.begin.pipe(
        Effect.zipRight(
          Effect.logInfo(
            `Stopping: /readyz answers 503 now, and the ports close after SHUTDOWN_DELAY (${Duration.format(shutdownDelay)}).`
          )
        ),
        Effect.zipRight(Effect.sleep(shutdownDelay))
      )
    )
  })
)

/**
 * Bounds the whole stop by `SHUTDOWN_DEADLINE`, which begins after `SHUTDOWN_DELAY`: if a part hangs beyond its own share, the process
 * exits here, with a failure.
 */
export const boundedEnd = (ending: ExitStatus) =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const { shutdownDeadline, shutdownDelay } = yield* Settings
      ending.serving = true
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          const forceExit = () => {
            process.stderr.write(`gravitas: not stopped within ${Duration.format(shutdownDeadline)}; ending anyway\n`)
            process.exit(ending.report.unwritten() > 0 ? ExitCode.unwritten : 1)
          }
          setTimeout(forceExit, Duration.toMillis(Duration.sum(shutdownDelay, shutdownDeadline))).unref()
        })
      )
    })
  )

/** A Ctrl-C reaches the whole group, and pnpm, npx and tsx send it again: within this time it counts as one request. */
const echoMillis = 2_000

const stillStopping =
  "gravitas: still stopping, within SHUTDOWN_DELAY and SHUTDOWN_DEADLINE. kill -9 ends it at once, and loses what is not written yet\n"

/**
 * Records the first signal and suppresses the default action of every later one: a second Ctrl-C must not interrupt the
 * writing of answered events. A terminal that closes stops the program as SIGTERM does (`nohup` detaches stdin).
 */
export const holdSignals = (ending: ExitStatus): void => {
  let recordedAt = 0
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (ending.signal === undefined) {
        ending.signal = signal
        recordedAt = performance.now()
      } else if (performance.now() - recordedAt > echoMillis) {
        process.stderr.write(stillStopping)
      }
    })
  }
  if (isatty(0)) process.on("SIGHUP", () => process.kill(process.pid, "SIGTERM"))
}
