import * as Option from "effect/Option"
import type { ServiceName } from "../../domain/Service.ts"
import { type Revision, revisionName } from "../files/Revision.ts"
import type { RevisionSet } from "../files/RevisionSet.ts"
import type { HistoryEntry } from "../history/MigrationHistory.ts"
import { ChecksumMismatch, PartlyApplied, RevisionConflict } from "./PlanRefusal.ts"

export const nameOf = (entry: Pick<HistoryEntry, "revision" | "slug">): string =>
  revisionName(entry.revision, entry.slug)

/** `entry` is half-way and cannot go on towards the target. */
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

/** Why a half-way revision, the last of the history, cannot go on from these files; null: it can, if it is asked to. */
const halfwayProblem = (entry: HistoryEntry, revision: Revision | undefined): string | null => {
  if (entry.state === "reverting" && entry.kind === "sql") return null
  if (revision === undefined || revision.slug !== entry.slug || revision.kind !== entry.kind)
    return "its file is not here"
  // The statements of an SQL revision that are done are compared one by one before it goes on.
  return entry.kind === "ts" && revision.up.checksum !== entry.up_checksum
    ? `${revision.file} was edited since it was begun`
    : null
}

/** Where the file is not what was applied, or null. */
const editedPart = (entry: HistoryEntry, revision: Revision): "up" | "down" | "file" | null => {
  const down = revision.reversal._tag === "Down" ? revision.reversal.section.checksum : null
  if (revision.kind === "ts") return revision.up.checksum === entry.up_checksum ? null : "file"
  return revision.up.checksum !== entry.up_checksum ? "up" : down !== entry.down_checksum ? "down" : null
}

/** Whether the file of an applied revision is what was applied. */
export const isIntact = (entry: HistoryEntry, revision: Revision): boolean => editedPart(entry, revision) === null

/** The first number that the history lacks below its last: taken out by hand, or never put in. */
const missingIn = (history: ReadonlyArray<HistoryEntry>): number | null => {
  const index = history.findIndex((entry, index) => entry.revision !== index + 1)
  return index === -1 ? null : index + 1
}

/** Where an entry and the file of its number are not the same revision, or not the same text. */
export const rowMismatch = (
  set: RevisionSet,
  history: ReadonlyArray<HistoryEntry>
): Option.Option<PartlyApplied | RevisionConflict | ChecksumMismatch> => {
  const { service } = set
  const edited: Array<{ file: string; revision: string; part: "up" | "down" | "file" }> = []
  for (const [index, entry] of history.entries()) {
    const revision = set.revisions[entry.revision - 1]
    if (entry.state !== "applied") {
      const problem = index < history.length - 1 ? "later revisions stand on it" : halfwayProblem(entry, revision)
      if (problem !== null) return Option.some(partlyApplied(service, entry, problem))
      continue
    }
    if (revision === undefined) continue
    if (revision.slug !== entry.slug || revision.kind !== entry.kind) {
      const problem =
        `number ${entry.revision} is ${nameOf(entry)} (${entry.kind}) in the database and ${revision.file} here; restore the ` +
        "applied file, and give the other the next number: " +
        `pnpm migrate --service ${service} renumber ${revisionName(revision.number, revision.slug)}`
      return Option.some(new RevisionConflict({ service, problem }))
    }
    const part = editedPart(entry, revision)
    if (part !== null) edited.push({ file: revision.file, revision: nameOf(entry), part })
  }
  return edited.length === 0 ? Option.none() : Option.some(new ChecksumMismatch({ service, files: edited }))
}

/** What makes any run unsafe, whatever its target. */
export const historyMismatch = (
  set: RevisionSet,
  history: ReadonlyArray<HistoryEntry>
): Option.Option<PartlyApplied | RevisionConflict | ChecksumMismatch> => {
  const missing = missingIn(history)
  if (missing === null) return rowMismatch(set, history)
  const { service } = set
  const file = set.revisions[missing - 1]
  const remedy =
    file === undefined
      ? "run the version of the program that has its file"
      : "if what it makes is there, put its row back: " +
        `pnpm migrate --service ${service} stamp ${revisionName(missing, file.slug)} --reason "<why>"`
  const later = history[missing - 1]
  const problem = `the database has ${later === undefined ? "more" : nameOf(later)} but not number ${missing}; ${remedy}`
  return Option.some(new RevisionConflict({ service, problem }))
}

/**
 * A revision, the last, that a newer program applies right now, or was cut off at: unknown here, and of phase `expand`. What
 * it has done and what it will do takes nothing away, so to a program that only wants its own head it is ahead.
 */
export const expandingElsewhere = (
  set: RevisionSet,
  history: ReadonlyArray<HistoryEntry>
): Option.Option<HistoryEntry> =>
  Option.filter(
    halfwayOf(history),
    ({ phase, revision, state }) =>
      state === "applying" && phase === "expand" && revision > set.revisions.length && missingIn(history) === null
  )

/** The last revision, where it was cut off. */
export const halfwayOf = (history: ReadonlyArray<HistoryEntry>): Option.Option<HistoryEntry> =>
  Option.filter(Option.fromNullable(history.at(-1)), ({ state }) => state !== "applied")
