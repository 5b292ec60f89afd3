import * as Record from "effect/Record"

/**
 * Every exit code of the program, with the command that ends with it. `docs/` shows this table. A number from 3 to 8 has a
 * meaning of its own in each group of commands. A command that a signal cuts short ends with 128 + the signal's number.
 */
export const exitCodes = {
  ok: { code: 0, command: "every command", meaning: "The command succeeded, or a server stopped in order." },
  failed: { code: 1, command: "every command", meaning: "It failed; stderr says why." },
  usage: { code: 2, command: "every command", meaning: "The command line is not valid." },
  noAccess: {
    code: 9,
    command: "every command",
    meaning: "The database is not reachable, is a replica, or a privilege is missing."
  },
  refused: {
    code: 10,
    command: "every command",
    meaning: "The command was refused or not confirmed; nothing was run."
  },
  unwritten: {
    code: 75,
    command: "gravitas",
    meaning: "Audit events that were accepted could not be written before the process ended (sysexits EX_TEMPFAIL)."
  },

  pending: { code: 3, command: "migrate, gravitas", meaning: "Revisions are pending." },
  checksum: { code: 4, command: "migrate", meaning: "The file of an applied revision was edited." },
  invalidFiles: { code: 5, command: "migrate", meaning: "The revision files are not valid." },
  lockNotAcquired: { code: 6, command: "migrate", meaning: "Another process held the migration lock for too long." },
  partlyApplied: { code: 7, command: "migrate", meaning: "A revision without a transaction is partly applied." },
  databaseAhead: {
    code: 8,
    command: "migrate",
    meaning: "The database has revisions that this program does not have."
  },

  unaccounted: { code: 3, command: "trail status", meaning: "Events are lost or unaccounted for." },
  deadLettersWaiting: { code: 4, command: "trail status", meaning: "Every event is accounted for; dead letters wait." },

  journalDamaged: { code: 5, command: "journal fsck", meaning: "The journal is damaged; nothing was changed." },
  journalRepaired: { code: 6, command: "journal fsck --repair", meaning: "Damage was found and moved aside." },
  journalInUse: { code: 7, command: "journal fsck", meaning: "A running process uses the journal." },

  deadLettersLeft: { code: 8, command: "dead-letters replay", meaning: "Some dead letters could not be written." },
  notFound: {
    code: 11,
    command: "journal, dead-letters, certificate import",
    meaning: "There is no such journal, dead letter or directory."
  },

  policyRefused: { code: 3, command: "policy", meaning: "The policy file is not valid." },
  casesRefused: { code: 4, command: "policy test", meaning: "The file of cases is not valid." },
  casesFailed: { code: 5, command: "policy test", meaning: "The policy decides otherwise than a case expects." },

  filesRefused: { code: 3, command: "certificate import", meaning: "Some files were refused; the others are imported." }
} as const

/** The codes by name. */
export const ExitCode = Record.map(exitCodes, ({ code }) => code)

/** Returns the failure's own `exitCode` if it is one, else 1. Never 0. */
export const exitCodeOf = (failure: unknown): number => {
  if (typeof failure === "object" && failure !== null && "exitCode" in failure) {
    const { exitCode } = failure
    if (typeof exitCode === "number" && Number.isInteger(exitCode) && exitCode > 0 && exitCode < 256) return exitCode
  }
  return ExitCode.failed
}
