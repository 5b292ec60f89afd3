import * as Data from "effect/Data"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { HistoryEntry } from "../history/HistoryEntry.ts"
import { base, type Revision, revisionName, type Section } from "../revision/Revision.ts"
import { parseStoredDown } from "../revision/RevisionFile.ts"
import { headOf, type RevisionSet } from "../revision/RevisionSet.ts"
import {
  ChecksumMismatch,
  DatabaseAhead,
  PartlyApplied,
  type PlanRefusal,
  RevisionConflict,
  RevisionIrreversible,
  RevisionUnknown,
  TargetBehind
} from "./PlanRefusal.ts"

/** Where to go. `DownTo` 0 is base. A slug, where given, must be that of the number. */
export type Target = Data.TaggedEnum<{
  Head: Readonly<Record<never, never>>
  UpTo: { readonly number: number; readonly slug: string | null }
  Forward: { readonly count: number }
  DownTo: { readonly number: number; readonly slug: string | null }
  Back: { readonly count: number }
}>
export const Target = Data.taggedEnum<Target>()

export type Step =
  | { readonly _tag: "Apply"; readonly revision: Revision }
  | {
      readonly _tag: "Revert"
      readonly entry: HistoryEntry
      readonly down: Section
      readonly file: Option.Option<string>
    }

export interface Plan {
  /** Name of the current revision, or `base`. */
  readonly current: string
  readonly steps: ReadonlyArray<Step>
  /** Applied revisions that this program does not know; all of phase `expand`, or the plan goes down. */
  readonly ahead: ReadonlyArray<HistoryEntry>
}

const nameOf = (entry: HistoryEntry): string => revisionName(entry.revision, entry.slug)

const inOrder = (history: ReadonlyArray<HistoryEntry>): ReadonlyArray<HistoryEntry> =>
  [...history].sort((a, b) => a.revision - b.revision)

/** The revision that `schema_version` shows for this history. */
export const currentOf = (history: ReadonlyArray<HistoryEntry>): { readonly number: number; readonly name: string } => {
  const last = inOrder(history.filter(({ state }) => state === "applied")).at(-1)
  return last === undefined ? { number: 0, name: base } : { number: last.revision, name: nameOf(last) }
}

/** The current revision once `step` is done, from the history as it was before the plan. */
export const standingAfter = (step: Step, history: ReadonlyArray<HistoryEntry>): string =>
  step._tag === "Apply"
    ? revisionName(step.revision.number, step.revision.slug)
    : currentOf(history.filter(({ revision }) => revision < step.entry.revision)).name

/** What makes any run unsafe, whatever its target. */
const disagreement = (
  set: RevisionSet,
  history: ReadonlyArray<HistoryEntry>
): Option.Option<PartlyApplied | RevisionConflict | ChecksumMismatch> => {
  const { service } = set
  const conflict = (problem: string) => Option.some(new RevisionConflict({ service, problem }))
  const edited: Array<{ file: string; part: "up" | "down" }> = []
  for (const [index, entry] of history.entries()) {
    if (entry.state !== "applied") {
      return Option.some(
        new PartlyApplied({
          service,
          revision: nameOf(entry),
          state: entry.state,
          stepsDone: entry.steps_done,
          stepsTotal: entry.steps_total
        })
      )
    }
    if (entry.revision !== index + 1) {
      return conflict(
        `the database has ${nameOf(entry)} but not number ${index + 1}, which came late or was taken out by hand; ` +
          "give the late file the next free number"
      )
    }
    const revision = set.revisions[index]
    if (revision === undefined) continue
    if (revision.slug !== entry.slug) {
      return conflict(
        `number ${entry.revision} is ${nameOf(entry)} in the database and ${revision.file} here; ` +
          "restore the applied file, and give the other the next free number"
      )
    }
    const down = revision.reversal._tag === "Down" ? revision.reversal.section.checksum : null
    if (revision.up.checksum !== entry.up_checksum) edited.push({ file: revision.file, part: "up" })
    else if (down !== entry.down_checksum) edited.push({ file: revision.file, part: "down" })
  }
  return edited.length === 0 ? Option.none() : Option.some(new ChecksumMismatch({ service, files: edited }))
}

/** A target named in full, whose number is another revision's. */
const misnamed = (
  set: RevisionSet,
  history: ReadonlyArray<HistoryEntry>,
  target: Target
): Option.Option<RevisionUnknown> => {
  if ((target._tag !== "UpTo" && target._tag !== "DownTo") || target.slug === null) return Option.none()
  const slug = set.revisions[target.number - 1]?.slug ?? history[target.number - 1]?.slug
  if (slug === undefined || slug === target.slug) return Option.none()
  const known = `number ${target.number} is ${revisionName(target.number, slug)}`
  return Option.some(
    new RevisionUnknown({ service: set.service, target: revisionName(target.number, target.slug), known })
  )
}

const upgrade = (
  set: RevisionSet,
  history: ReadonlyArray<HistoryEntry>,
  target: Target & { readonly _tag: "Head" | "UpTo" | "Forward" }
): Either.Either<Plan, PlanRefusal> => {
  const { service } = set
  const current = currentOf(history)
  const head = headOf(set)
  const ahead = history.slice(set.revisions.length)
  const contract = ahead.filter(({ phase }) => phase === "contract")
  if (contract.length > 0) {
    return Either.left(
      new DatabaseAhead({ service, head: head.name, unknown: ahead.map(nameOf), contract: contract.map(nameOf) })
    )
  }
  const goal =
    target._tag === "Head"
      ? Math.max(head.number, current.number)
      : target._tag === "UpTo"
        ? target.number
        : current.number + target.count
  if (goal > Math.max(head.number, current.number)) {
    return Either.left(new RevisionUnknown({ service, target: String(goal), known: `the head is ${head.name}` }))
  }
  if (goal < current.number) {
    return Either.left(new TargetBehind({ service, target: String(goal), current: current.name, command: "downgrade" }))
  }
  const steps = set.revisions.slice(history.length, goal).map((revision): Step => ({ _tag: "Apply", revision }))
  return Either.right({ current: current.name, steps, ahead })
}

const downgrade = (
  set: RevisionSet,
  history: ReadonlyArray<HistoryEntry>,
  target: Target & { readonly _tag: "DownTo" | "Back" }
): Either.Either<Plan, PlanRefusal> => {
  const { service } = set
  const current = currentOf(history)
  const goal = target._tag === "DownTo" ? target.number : current.number - target.count
  if (goal < 0) {
    return Either.left(
      new RevisionUnknown({
        service,
        target: `${current.number} - ${current.number - goal}`,
        known: `only ${history.length} are applied (base is the furthest)`
      })
    )
  }
  if (goal > current.number) {
    return Either.left(new TargetBehind({ service, target: String(goal), current: current.name, command: "upgrade" }))
  }
  const steps: Array<Step> = []
  const irreversible: Array<{ revision: string; reason: string }> = []
  for (const entry of history.slice(goal).reverse()) {
    const down = Option.flatMap(Option.fromNullable(entry.down_script), parseStoredDown)
    if (Option.isNone(down)) {
      const reason = entry.irreversible_reason ?? "no down script was stored"
      irreversible.push({ revision: nameOf(entry), reason })
      continue
    }
    const revision = set.revisions[entry.revision - 1]
    const here = revision !== undefined && revision.reversal._tag === "Down" ? revision.reversal.section : undefined
    steps.push({
      _tag: "Revert",
      entry,
      // The same text (checksums agree), with the line numbers of its file.
      down: here ?? down.value,
      file: here === undefined ? Option.none() : Option.fromNullable(revision?.file)
    })
  }
  return irreversible.length > 0
    ? Either.left(new RevisionIrreversible({ service, revisions: irreversible }))
    : Either.right({ current: current.name, steps, ahead: history.slice(set.revisions.length) })
}

/** Decides what to run, or why nothing may run. `history` in any order. */
export const make = (
  set: RevisionSet,
  history: ReadonlyArray<HistoryEntry>,
  target: Target
): Either.Either<Plan, PlanRefusal> => {
  const ordered = inOrder(history)
  const wrong = Option.orElse(disagreement(set, ordered), () => misnamed(set, ordered, target))
  if (Option.isSome(wrong)) return Either.left(wrong.value)
  return target._tag === "DownTo" || target._tag === "Back"
    ? downgrade(set, ordered, target)
    : upgrade(set, ordered, target)
}
