import * as Either from "effect/Either"
import { base, downOf, type Revision, revisionName, type Section } from "../files/Revision.ts"
import { headOf, type RevisionSet } from "../files/RevisionSet.ts"
import type { HistoryEntry } from "../history/MigrationHistory.ts"
import {
  expandingElsewhere,
  halfwayOf,
  historyMismatch,
  nameOf,
  partlyApplied,
  storedDownOf
} from "./HistoryMismatch.ts"
import {
  DatabaseAhead,
  DataRevisionMissing,
  type PlanRefusal,
  RevisionIrreversible,
  RevisionUnknown,
  TargetBehind,
  unknownRevision
} from "./PlanRefusal.ts"
import { Target } from "./Target.ts"

export type Step =
  | {
      readonly _tag: "Apply"
      readonly revision: Revision
      /** Its row, if an earlier run was interrupted (only without a transaction): the step continues from there. */
      readonly halfway: HistoryEntry | undefined
    }
  | {
      readonly _tag: "Revert"
      /** In state `reverting` if an earlier run was interrupted. */
      readonly entry: HistoryEntry
      /** For a data revision: its whole file. */
      readonly down: Section
      readonly file: string | undefined
      /** Its file in this program; always present for a data revision, whose module has the `down`. */
      readonly revision: Revision | undefined
    }

export interface Plan {
  /** The name of the current revision, or `base`. */
  readonly current: string
  readonly steps: ReadonlyArray<Step>
  /** Applied revisions that this program does not know. On the way up all of them have phase `expand`. */
  readonly ahead: ReadonlyArray<HistoryEntry>
}

const inOrder = (history: ReadonlyArray<HistoryEntry>): ReadonlyArray<HistoryEntry> =>
  [...history].sort((a, b) => a.revision - b.revision)

/** The revision that `schema_version` shows for this history. */
export const currentOf = (history: ReadonlyArray<HistoryEntry>): { readonly number: number; readonly name: string } => {
  const last = inOrder(history.filter(({ state }) => state === "applied")).at(-1)
  return last === undefined ? { number: 0, name: base } : { number: last.revision, name: nameOf(last) }
}

/** The current revision after `step`; `history` is as it was before the plan. */
export const currentAfter = (step: Step, history: ReadonlyArray<HistoryEntry>): string =>
  step._tag === "Apply"
    ? revisionName(step.revision.number, step.revision.slug)
    : currentOf(history.filter(({ revision }) => revision < step.entry.revision)).name

/** Refuses a target with a full name whose number belongs to another revision. */
const misnamed = (set: RevisionSet, history: ReadonlyArray<HistoryEntry>, target: Target) => {
  if ((target._tag !== "UpTo" && target._tag !== "DownTo") || target.slug === null) return undefined
  const slug = set.revisions[target.number - 1]?.slug ?? history[target.number - 1]?.slug
  return slug === undefined || slug === target.slug
    ? undefined
    : unknownRevision(set, target, `number ${target.number} is ${revisionName(target.number, slug)}`)
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
    return Either.left(unknownRevision(set, { number: goal, slug: null }))
  }
  if (goal < current.number) {
    return Either.left(new TargetBehind({ service, target: String(goal), current: current.name, command: "downgrade" }))
  }
  const halfway = halfwayOf(history)
  if (halfway !== undefined && (halfway.state === "reverting" || goal < halfway.revision)) {
    const back = revisionName(halfway.revision - 1, history.at(-2)?.slug ?? base)
    const problem =
      halfway.state === "reverting"
        ? `finish its downgrade first: pnpm migrate --service ${service} downgrade ${back}`
        : `finish it first: pnpm migrate --service ${service} upgrade ${nameOf(halfway)}`
    return Either.left(partlyApplied(service, halfway, problem))
  }
  const steps = set.revisions.slice(current.number, goal).map((revision): Step => {
    const isHalfway = halfway?.revision === revision.number
    return { _tag: "Apply", revision, halfway: isHalfway ? halfway : undefined }
  })
  return Either.right({ current: current.name, steps, ahead })
}

/** The step that reverts one revision, or why it cannot be reverted: null if its file is missing. */
const revertOf = (entry: HistoryEntry, revision: Revision | undefined): Either.Either<Step, string | null> => {
  if (entry.irreversible_reason !== null) return Either.left(entry.irreversible_reason)
  if (entry.kind === "ts") {
    if (revision === undefined) return Either.left(null)
    return Either.right({ _tag: "Revert", entry, down: revision.up, file: revision.file, revision })
  }
  const stored = storedDownOf(entry)
  if (stored === undefined) return Either.left("no down script was stored")
  // If the checksums agree, the file has the same text, with the line numbers for messages.
  const here = revision === undefined ? null : downOf(revision)
  return Either.right(
    here?.checksum === entry.down_checksum && here !== null
      ? { _tag: "Revert", entry, down: here, file: revision?.file, revision }
      : { _tag: "Revert", entry, down: stored, file: undefined, revision }
  )
}

const downgrade = (
  set: RevisionSet,
  history: ReadonlyArray<HistoryEntry>,
  target: Target & { readonly _tag: "DownTo" | "Back" }
): Either.Either<Plan, PlanRefusal> => {
  const { service } = set
  const current = currentOf(history)
  const halfway = halfwayOf(history)
  // A half-reverted revision counts as applied, so that an interrupted command can be repeated.
  const from = halfway?.revision ?? current.number
  const goal = target._tag === "DownTo" ? target.number : from - target.count
  if (goal < 0) {
    return Either.left(
      new RevisionUnknown({
        service,
        target: `${from} - ${from - goal}`,
        known: `only ${history.length} are applied (base is the furthest)`
      })
    )
  }
  if (goal > from) {
    return Either.left(new TargetBehind({ service, target: String(goal), current: current.name, command: "upgrade" }))
  }
  if (halfway !== undefined && (halfway.state === "applying" || goal === from)) {
    const rest = halfway.state === "applying" ? `upgrade ${nameOf(halfway)}` : `downgrade ${current.name}`
    const problem = `finish that first: pnpm migrate --service ${service} ${rest}`
    return Either.left(partlyApplied(service, halfway, problem))
  }
  const steps: Array<Step> = []
  const irreversible: Array<{ revision: string; reason: string }> = []
  const missing: Array<string> = []
  for (const entry of history.slice(goal).reverse()) {
    Either.match(revertOf(entry, set.revisions[entry.revision - 1]), {
      onLeft: (reason) =>
        reason === null ? missing.push(nameOf(entry)) : irreversible.push({ revision: nameOf(entry), reason }),
      onRight: (step) => steps.push(step)
    })
  }
  if (irreversible.length > 0) return Either.left(new RevisionIrreversible({ service, revisions: irreversible }))
  return missing.length > 0
    ? Either.left(new DataRevisionMissing({ service, revisions: missing }))
    : Either.right({ current: current.name, steps, ahead: history.slice(set.revisions.length) })
}

/** Plans `redo`; refuses to revert what this program could not apply again. */
const redo = (
  set: RevisionSet,
  history: ReadonlyArray<HistoryEntry>,
  { count }: Target & { readonly _tag: "Redo" }
): Either.Either<Plan, PlanRefusal> =>
  Either.flatMap(downgrade(set, history, Target.Back({ count })), (back) => {
    const reverted = new Set(back.steps.flatMap((step) => (step._tag === "Revert" ? [step.entry.revision] : [])))
    const rest = history.filter(({ revision }) => !reverted.has(revision))
    const there = Target.UpTo({ number: currentOf(history).number, slug: null })
    return Either.map(upgrade(set, rest, there), (forward) => ({ ...back, steps: [...back.steps, ...forward.steps] }))
  })

/** Decides which steps to run, or why none may run. `history` may be in any order. */
export const make = (
  set: RevisionSet,
  history: ReadonlyArray<HistoryEntry>,
  target: Target
): Either.Either<Plan, PlanRefusal> => {
  const ordered = inOrder(history)
  const elsewhere = target._tag === "Head" ? expandingElsewhere(set, ordered) : undefined
  if (elsewhere !== undefined) {
    const known = make(set, ordered.slice(0, -1), target)
    return Either.map(known, (plan) => ({ ...plan, ahead: [...plan.ahead, elsewhere] }))
  }
  const wrong = historyMismatch(set, ordered) ?? misnamed(set, ordered, target)
  if (wrong !== undefined) return Either.left(wrong)
  if (target._tag === "Redo") return redo(set, ordered, target)
  return target._tag === "DownTo" || target._tag === "Back"
    ? downgrade(set, ordered, target)
    : upgrade(set, ordered, target)
}
