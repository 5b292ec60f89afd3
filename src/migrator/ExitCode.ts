import { DatabaseUnreachable } from "../platform/Database.ts"

/** What the `migrate` commands, and a service whose migration failed, end the process with. */
export const ExitCode = {
  ok: 0,
  revisionFailed: 1,
  usage: 2,
  pending: 3,
  checksum: 4,
  invalidFiles: 5,
  lockNotAcquired: 6,
  partlyApplied: 7,
  databaseAhead: 8,
  /** Cannot connect, a replica, or a privilege is missing. */
  noAccess: 9,
  refused: 10
} as const

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]

/** The exit code of a failure: its own `exitCode`, 9 for an unreachable database, else 1. Never 0. */
export const exitCodeOf = (failure: unknown): number => {
  if (failure instanceof DatabaseUnreachable) return ExitCode.noAccess
  if (typeof failure === "object" && failure !== null && "exitCode" in failure) {
    const { exitCode } = failure
    if (typeof exitCode === "number" && Number.isInteger(exitCode) && exitCode > 0 && exitCode < 256) return exitCode
  }
  return ExitCode.revisionFailed
}
