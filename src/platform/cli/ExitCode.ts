import { DatabaseUnreachable } from "../postgres/Database.ts"

/** What every command ends the process with for the same reason; the numbers between are each room's own. */
export const commonExitCode = {
  ok: 0,
  failed: 1,
  usage: 2,
  /** Cannot connect, or a privilege is missing. */
  noAccess: 9,
  refused: 10
} as const

/** The exit code of a failure: its own `exitCode`, 9 for an unreachable database, else 1. Never 0. */
export const exitCodeOf = (failure: unknown): number => {
  if (failure instanceof DatabaseUnreachable) return commonExitCode.noAccess
  if (typeof failure === "object" && failure !== null && "exitCode" in failure) {
    const { exitCode } = failure
    if (typeof exitCode === "number" && Number.isInteger(exitCode) && exitCode > 0 && exitCode < 256) return exitCode
  }
  return commonExitCode.failed
}
