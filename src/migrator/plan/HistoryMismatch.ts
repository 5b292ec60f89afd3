import * as Option from "effect/Option"
import type { ServiceName } from "../../domain/Service.ts"
import { downOf, type Revision, revisionName, type Section } from "../files/Revision.ts"
import { parseStoredDown } from "../files/RevisionFile.ts"
import type { RevisionSet } from "../files/RevisionSet.ts"
import type { HistoryEntry } from "../history/MigrationHistory.ts"
import { ChecksumMismatch, PartlyApplied, RevisionConflict } from "./PlanRefusal.ts"

export const nameOf = (entry: Pick<HistoryEntry, "revision" | "slug">): string =>
  revisionName(entry.revision, entry.slug)

/** The down section of an SQL revision at the time of its upgrade. */
export const storedDownOf = ({ down_script }: Pick<HistoryEntry, "down_script">): Section | undefined =>
  down_script === null ? undefined : Option.getOrUndefined(parseStoredDown(down_script))

/** Builds the refusal for a half-way revision that cannot continue towards the target. */
export const partlyApplied = (
  service: ServiceName,
  entry: Pick<HistoryEntry, "revision" | "slug" | "state" | "steps_done" | "steps_total">,
  problem: string
): PartlyApplied =>
  new PartlyApplied({
    service,
    revision: nameOf(entry),
    state: entry.state === "reverting" ? "reverting" : "applying",
    stepsDone: entry.steps_done,
    stepsTotal: entry.steps_total,
    problem
  })

/** Why the half-way revision at the end of the history cannot continue with these files; null if it can. */
const halfwayProblem = (entry: HistoryEntry, revision: Revision | undefined): string | null => {
  if (entry.state === "reverting" && entry.kind === "sql") return null
  if (revision === undefined || revision.slug !== entry.slug || revision.kind !== entry.kind)
    return "its file is missing"
  // For an SQL revision, NonTransactionalStep compares each statement that ran before it continues.
  return entry.kind === "ts" && revision.up.checksum !== entry.up_checksum
    ? `${revision.file} was edited after the revision began`
    : null
}

/** The part of the file that differs from what was applied, or null. */
const editedPart = (entry: HistoryEntry, revision: Revision): "up" | "down" | "file" | null => {
  const down = downOf(revision)?.checksum ?? null
  if (revision.kind === "ts") return revision.up.checksum === entry.up_checksum ? null : "file"
  return revision.up.checksum !== entry.up_checksum ? "up" : down !== entry.down_checksum ? "down" : null
}

/** True if the file of an applied revision is what was applied. */
export const isIntact = (entry: HistoryEntry, revision: Revision): boolean => editedPart(entry, revision) === null

/** The first number missing from the history below its last one: its row was removed by hand, or never inserted. */
const missingIn = (history: ReadonlyArray<HistoryEntry>): number | null => {
  const index = history.findIndex((entry, index) => entry.revision !== index + 1)
  return index === -1 ? null : index + 1
}

/** The first difference between a history row and the file with its number: another revision, or another text. */
export const rowMismatch = (
  set: RevisionSet,
  history: ReadonlyArray<HistoryEntry>
): PartlyApplied | RevisionConflict | ChecksumMismatch | undefined => {
  const { service } = set
  const edited: Array<{ file: string; revision: string; part: "up" | "down" | "file" }> = []
  for (const [index, entry] of history.entries()) {
    const revision = set.revisions[entry.revision - 1]
    if (entry.state !== "applied") {
      const problem = index < history.length - 1 ? "later revisions depend on it" : halfwayProblem(entry, revision)
      if (problem !== null) return partlyApplied(service, entry, problem)
      continue
    }
    if (revision === undefined) continue
    if (revision.slug !== entry.slug || revision.kind !== entry.kind) {
      const problem =
        `number ${entry.revision} is ${nameOf(entry)} (${entry.kind}) in the database and ${revision.file} here; restore the ` +
        "applied file, and give the other the next number: " +
        `pnpm migrate --service ${service} renumber ${revisionName(revision.number, revision.slug)}`
      return new RevisionConflict({ service, problem })
    }
    const part = editedPart(entry, revision)
    if (part !== null) edited.push({ file: revision.file, revision: nameOf(entry), part })
  }
  return edited.length === 0 ? undefined : new ChecksumMismatch({ service, files: edited })
}

/** A mismatch between files and history that makes every run unsafe, whatever its target is. */
export const historyMismatch = (set: RevisionSet, history: ReadonlyArray<HistoryEntry>) => {
  const missing = missingIn(history)
  if (missing === null) return rowMismatch(set, history)
  const { service } = set
  const file = set.revisions[missing - 1]
  const remedy =
    file === undefined
      ? "run the version of the program that has its file"
      : "if what it creates exists, insert its row again: " +
        `pnpm migrate --service ${service} stamp ${revisionName(missing, file.slug)} --reason "<why>"`
  const later = history[missing - 1]
  const problem = `the database has ${later === undefined ? "more" : nameOf(later)} but not number ${missing}; ${remedy}`
  return new RevisionConflict({ service, problem })
}

/** The last revision, if it is half-way. */
export const halfwayOf = (history: ReadonlyArray<HistoryEntry>): HistoryEntry | undefined => {
  const last = history.at(-1)
  return last?.state === "applied" ? undefined : last
}

/**
 * The last revision of the history, if this program does not know it, a newer program is applying it or was interrupted, and its phase is
 * `expand`. It removes nothing, so for a program that only needs its own head the database is merely ahead.
 */
export const expandingElsewhere = (set: RevisionSet, history: ReadonlyArray<HistoryEntry>) => {
  const last = halfwayOf(history)
  const expands = last?.state === "applying" && last.phase === "expand" && last.revision > set.revisions.length
  return expands && missingIn(history) === null ? last : undefined
}
