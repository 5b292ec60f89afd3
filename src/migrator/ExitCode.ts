import { commonExitCode } from "../platform/cli/ExitCode.ts"

/** What the `migrate` commands, and a service whose migration failed, end the process with. */
export const ExitCode = {
  ok: commonExitCode.ok,
  revisionFailed: commonExitCode.failed,
  usage: commonExitCode.usage,
  pending: 3,
  checksum: 4,
  invalidFiles: 5,
  lockNotAcquired: 6,
  partlyApplied: 7,
  databaseAhead: 8,
  /** A replica is no place to migrate either. */
  noAccess: commonExitCode.noAccess,
  refused: commonExitCode.refused
} as const

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]
