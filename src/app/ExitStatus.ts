import * as ValidationError from "@effect/cli/ValidationError"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { ExitCode, exitCodeOf } from "../platform/cli/ExitCode.ts"
import { Settings } from "../platform/config/Settings.ts"
import type { ShutdownReport } from "../platform/os/ShutdownReport.ts"

/** What the edges of the process learn on the way to its end. */
export interface ExitStatus {
  /** The first signal that asked it to stop. */
  signal: "SIGINT" | "SIGTERM" | undefined
  /** A server that is asked to stop ends well; a command is cut short. */
  serving: boolean
  /** Counts the audit events that were accepted and could not be written. */
  readonly report: typeof ShutdownReport.Service
}

const signalNumber = { SIGINT: 2, SIGTERM: 15 } as const

/** 0 after an orderly end, 128 + the signal's number for a command cut short, else what the failure says. */
export const exitCode = (exit: Exit.Exit<unknown, unknown>, ending: ExitStatus): number => {
  if (Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)) {
    const failure = Cause.failureOption(exit.cause)
    if (Option.isNone(failure)) return 1
    return ValidationError.isValidationError(failure.value) ? ExitCode.usage : exitCodeOf(failure.value)
  }
  if (ending.report.unwritten() > 0) return ExitCode.unwritten
  if (Exit.isSuccess(exit) || ending.serving) return 0
  return 128 + signalNumber[ending.signal ?? "SIGINT"]
}

/** What stderr gets: the message of a failure that was foreseen, the whole cause of one that was not. */
export const exitMessage = (exit: Exit.Exit<unknown, unknown>): string | undefined => {
  if (Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause)) return undefined
  const failure = Cause.failureOption(exit.cause)
  if (Option.isNone(failure)) return `gravitas: internal error\n${Cause.pretty(exit.cause)}`
  // The command line has printed its own.
  if (ValidationError.isValidationError(failure.value)) return undefined
  return failure.value instanceof Error ? `gravitas: ${failure.value.message}` : Cause.pretty(exit.cause)
}

/**
 * From the moment the end begins, the whole of it has `SHUTDOWN_DEADLINE`. Each part keeps to a share of its own; if one
 * hangs all the same, the process is ended here, not well.
 */
export const boundedEnd = (ending: ExitStatus) =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const { shutdownDeadline } = yield* Settings
      ending.serving = true
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          const hurry = () => {
            process.stderr.write(`gravitas: not stopped within ${Duration.format(shutdownDeadline)}; ending anyway\n`)
            process.exit(ending.report.unwritten() > 0 ? ExitCode.unwritten : 1)
          }
          setTimeout(hurry, Duration.toMillis(shutdownDeadline)).unref()
        })
      )
    })
  )
