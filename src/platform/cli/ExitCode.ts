import * as Record from "effect/Record"

const exit = (code: number, command: string, meaning: string) => ({ code, command, meaning })

/**
 * Every exit code of the program, with the command that ends with it. `docs/` shows this table. A number from 3 to 8 has a
 * meaning of its own in each group of commands. A command that a signal cuts short ends with 128 + the signal's number.
 */
export const exitCodes = {
  ok: exit(0, "every command", "The command succeeded, or a server stopped in order."),
  failed: exit(1, "every command", "It failed; stderr says why."),
  usage: exit(2, "every command", "The command line is not valid."),
  noAccess: exit(9, "every command", "The database is not reachable, is a replica, or a privilege is missing."),
  refused: exit(10, "every command", "The command was refused or not confirmed; nothing was run."),
  outputDropped: exit(
    74,
    "every command",
    "It succeeded, and its result could not be written to stdout (sysexits EX_IOERR)."
  ),
  unwritten: exit(
    75,
    "gravitas",
    "Audit events that were accepted could not be written before the process ended (sysexits EX_TEMPFAIL)."
  ),

  pending: exit(3, "migrate, gravitas", "Revisions are pending."),
  checksum: exit(4, "migrate", "The file of an applied revision was edited."),
  invalidFiles: exit(5, "migrate", "The revision files are not valid."),
  lockNotAcquired: exit(6, "migrate", "Another process held the migration lock for too long."),
  partlyApplied: exit(7, "migrate", "A revision without a transaction is partly applied."),
  databaseAhead: exit(8, "migrate", "The database has revisions that this program does not have."),

  unaccounted: exit(3, "trail status", "Events are lost or unaccounted for."),
  deadLettersWaiting: exit(4, "trail status", "Every event is accounted for; dead letters wait."),

  proofRefused: exit(5, "trail verify-proof", "The proof does not hold, or the file is not a proof."),

  journalDamaged: exit(5, "journal fsck", "The journal is damaged; nothing was changed."),
  journalRepaired: exit(6, "journal fsck --repair", "Damage was found and moved aside."),
  journalInUse: exit(7, "journal fsck", "A running process uses the journal."),

  deadLettersLeft: exit(8, "dead-letters replay", "Some dead letters could not be written."),
  notFound: exit(
    11,
    "journal, dead-letters, trail request, certificate import",
    "There is no such journal, dead letter, request or directory."
  ),

  policyRefused: exit(3, "policy", "The policy file is not valid."),
  casesRefused: exit(4, "policy test", "The file of cases is not valid."),
  casesFailed: exit(5, "policy test", "The policy decides otherwise than a case expects."),

  filesRefused: exit(3, "certificate import", "Some files were refused; the others are imported.")
}

export const ExitCode = Record.map(exitCodes, ({ code }) => code)

/** Returns the failure's own `exitCode` if it is one, else 1. Never 0. */
export const exitCodeOf = (failure: unknown): number => {
  if (typeof failure === "object" && failure !== null && "exitCode" in failure) {
    const { exitCode } = failure
    if (typeof exitCode === "number" && Number.isInteger(exitCode) && exitCode > 0 && exitCode < 256) return exitCode
  }
  return ExitCode.failed
}
