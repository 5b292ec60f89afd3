import * as ValidationError from "@effect/cli/ValidationError"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { exitCodeOf } from "../migrator/ExitCode.ts"

/** sysexits(3) EX_TEMPFAIL: the process stopped before it could write what it had accepted. */
export const unwrittenExitCode = 75

/** sysexits(3) EX_USAGE has 64; a shell's own convention, and the migrator's, is 2. */
export const usageExitCode = 2

/** How the process ends, as its edges learn it. */
export interface Ending {
  /** The first signal that asked it to stop. */
  signal: "SIGINT" | "SIGTERM" | undefined
  /** A server was asked to stop: an orderly end, where an interrupted command is not. */
  serving: boolean
  /** Audit events that were accepted and could not be written. */
  unwritten: number
}

const signalNumber = { SIGINT: 2, SIGTERM: 15 } as const

/** 0 after an orderly end; 128 + the signal's number for an interrupted command; else what the failure says. */
export const exitCode = (exit: Exit.Exit<unknown, unknown>, ending: Ending): number => {
  if (ending.unwritten > 0) return unwrittenExitCode
  if (Exit.isSuccess(exit)) return 0
  if (Cause.isInterruptedOnly(exit.cause)) {
    return ending.serving ? 0 : 128 + signalNumber[ending.signal ?? "SIGINT"]
  }
  const failure = Cause.failureOption(exit.cause)
  if (Option.isNone(failure)) return 1
  return ValidationError.isValidationError(failure.value) ? usageExitCode : exitCodeOf(failure.value)
}

/** What stderr gets: the message of a failure that was foreseen, the whole cause of one that was not. */
export const lastWords = (exit: Exit.Exit<unknown, unknown>): string | undefined => {
  if (Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause)) return undefined
  const failure = Cause.failureOption(exit.cause)
  if (Option.isNone(failure)) return `gravitas: internal error\n${Cause.pretty(exit.cause)}`
  if (ValidationError.isValidationError(failure.value)) return undefined
  return failure.value instanceof Error ? `gravitas: ${failure.value.message}` : `gravitas: ${Cause.pretty(exit.cause)}`
}
