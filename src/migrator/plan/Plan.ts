import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { base, downOf, type Revision, revisionName, type Section } from "../files/Revision.ts"
import { parseStoredDown } from "../files/RevisionFile.ts"
import { headOf, type RevisionSet } from "../files/RevisionSet.ts"
import type { HistoryEntry } from "../history/MigrationHistory.ts"
import { expandingElsewhere, halfwayOf, historyMismatch, nameOf, partlyApplied } from "./HistoryMismatch.ts"
import {
  DatabaseAhead,
  DataRevisionMissing,
  type PlanRefusal,
  RevisionIrreversible,
  RevisionUnknown,
  TargetBehind
} from "./PlanRefusal.ts"
import { Target } from "./Target.ts"

export type Step =
  | {
      readonly _tag: "Apply"
      readonly revision: Revision
      /** Its row, if an earlier run was interrupted (only without a transaction): the step continues from there. */
      readonly halfway: Option.Option<HistoryEntry>
    }
  | {
      readonly _tag: "Revert"
      /** In state `reverting` if an earlier run was interrupted. */
      readonly entry: HistoryEntry
      /** For a data revision: its whole file. */
      readonly down: Section
      readonly file: Option.Option<string>
      /** Its file in this program; always present for a data revision, whose module has the `down`. */
      readonly revision: Option.Option<Revision>
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
  const halfway = halfwayOf(history)
  if (Option.isSome(halfway) && (halfway.value.state === "reverting" || goal < halfway.value.revision)) {
    const back = revisionName(halfway.value.revision - 1, history.at(-2)?.slug ?? base)
    const problem =
      halfway.value.state === "reverting"
        ? `finish its downgrade first: pnpm migrate --service ${service} downgrade ${back}`
        : `finish it first: pnpm migrate --service ${service} upgrade ${nameOf(halfway.value)}`
    return Either.left(partlyApplied(service, halfway.value, problem))
  }
  const steps = set.revisions.slice(current.number, goal).map(
    (revision): Step => ({
      _tag: "Apply",
      revision,
      halfway: Option.filter(halfway, (entry) => entry.revision === revision.number)
    })
  )
  return Either.right({ current: current.name, steps, ahead })
}

/** The step that reverts one revision, or why it cannot be reverted. */
const revertOf = (
  entry: HistoryEntry,
  revision: Option.Option<Revision>
): Either.Either<Step, { readonly irreversible: string | null }> => {
  if (entry.irreversible_reason !== null) return Either.left({ irreversible: entry.irreversible_reason })
  const file = Option.map(revision, ({ file }) => file)
  if (entry.kind === "ts") {
    return Option.match(revision, {
      onNone: () => Either.left({ irreversible: null }),
      onSome: ({ up }) => Either.right({ _tag: "Revert", entry, down: up, file, revision })
    })
  }
  const stored = Option.flatMap(Option.fromNullable(entry.down_script), parseStoredDown)
  if (Option.isNone(stored)) return Either.left({ irreversible: "no down script was stored" })
  // If the checksums agree, the file has the same text, with the line numbers for messages.
  const here = Option.filter(
    Option.flatMapNullable(revision, downOf),
    ({ checksum }) => checksum === entry.down_checksum
  )
  return Either.right({
    _tag: "Revert",
    entry,
    down: Option.getOrElse(here, () => stored.value),
    file: Option.isSome(here) ? file : Option.none(),
    revision
  })
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
  const from = Option.match(halfway, { onNone: () => current.number, onSome: ({ revision }) => revision })
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
  if (Option.isSome(halfway) && (halfway.value.state === "applying" || goal === from)) {
    const command = halfway.value.state === "applying" ? "upgrade" : "downgrade"
    const to = halfway.value.state === "applying" ? nameOf(halfway.value) : currentOf(history).name
    const problem = `finish that first: pnpm migrate --service ${service} ${command} ${to}`
    return Either.left(partlyApplied(service, halfway.value, problem))
  }
  const steps: Array<Step> = []
  const irreversible: Array<{ revision: string; reason: string }> = []
  const missing: Array<string> = []
  for (const entry of history.slice(goal).reverse()) {
    Either.match(revertOf(entry, Option.fromNullable(set.revisions[entry.revision - 1])), {
      onLeft: ({ irreversible: reason }) =>
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
  const elsewhere = target._tag === "Head" ? expandingElsewhere(set, ordered) : Option.none()
  if (Option.isSome(elsewhere)) {
    return Either.map(make(set, ordered.slice(0, -1), target), (plan) => ({
      ...plan,
      ahead: [...plan.ahead, elsewhere.value]
    }))
  }
  const wrong = Option.orElse(historyMismatch(set, ordered), () => misnamed(set, ordered, target))
  if (Option.isSome(wrong)) return Either.left(wrong.value)
  if (target._tag === "Redo") return redo(set, ordered, target)
  return target._tag === "DownTo" || target._tag === "Back"
    ? downgrade(set, ordered, target)
    : upgrade(set, ordered, target)
}
