import { table } from "./Markdown.ts"
import { exitCodes } from "./Sources.ts"

/** By the name that the program gives a code. The groups may give a name of their own in front: `gravitas policy.failed`. */
const meanings: Readonly<Record<string, string>> = {
  ok: "done",
  failed: "failed; stderr has the reason",
  "gravitas (the services).ok": "stopped in order",
  "gravitas (the services).failed": "refused to start, or a defect",
  revisionFailed: "a revision, an assertion (`verify`) or a way back (`test`) failed",
  usage: "wrong usage",
  pending: "pending, not at head: `current --check-head`, `check --db`",
  checksum: "an applied file was edited",
  invalidFiles: "the files are not a valid history",
  lockNotAcquired: "another process holds the lock",
  partlyApplied: "a revision without a transaction is partly applied",
  databaseAhead: "the database is ahead of this program, or there is no such revision",
  noAccess: "cannot connect, or a privilege is missing",
  "gravitas migrate.noAccess": "cannot connect, a privilege is missing, or the server is a replica",
  refused: "refused: not confirmed, or not allowed in this state",
  "gravitas migrate.refused":
    "refused: destroys data, irreversible, tables without a history, production, not confirmed",
  unwritten: "stopped with answered events that are neither in PostgreSQL nor in the journal; the log counts them",
  unaccounted: "`trail status`: events are lost or unaccounted for",
  lettersWait: "`trail status`: all events are accounted for, and dead letters wait",
  damaged: "`journal fsck`: the journal is damaged",
  repaired: "`journal fsck --repair`: damage was repaired",
  inUse: "`journal fsck`: a running process owns the journal",
  unreplayed: "`dead-letters replay`: the table still refuses some",
  unknown: "there is no such journal or dead letter",
  "gravitas certificate import.unknown": "there is no such directory",
  policyRefused: "the policy file is refused",
  casesRefused: "`policy test`: the file of cases is refused",
  casesFailed: "`policy test`: the policy decides otherwise than a case expects",
  filesRefused: "some files were refused; the others are imported"
}

const meaningOf = (group: string, name: string): string => {
  const meaning = meanings[`${group}.${name}`] ?? meanings[name]
  if (meaning === undefined) throw new Error(`scripts/docs/ExitCodes.ts: ${group}.${name} has no meaning`)
  return meaning
}

/** One table for each group of commands. */
export const exitCodeTables = (): ReadonlyArray<string> =>
  Object.entries(exitCodes).flatMap(([group, codes], index) => [
    ...(index === 0 ? [] : [""]),
    `**\`${group.replace(/ \(.*/, "")}\`**${/ (\(.*\))/.exec(group)?.[1] === undefined ? "" : ` ${/ (\(.*\))/.exec(group)?.[1]}`}`,
    "",
    ...table(
      ["code", "meaning"],
      Object.entries(codes)
        .toSorted(([, one], [, other]) => one - other)
        .map(([name, code]) => [String(code), meaningOf(group, name)])
    )
  ])
