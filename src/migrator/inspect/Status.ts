import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { openSchema } from "../apply/Migrate.ts"
import { unadoptedIn } from "../apply/UnadoptedSchema.ts"
import { type Phase, revisionName } from "../files/Revision.ts"
import { headOf, type MigratedService, type RevisionSet } from "../files/RevisionSet.ts"
import type { HistoryEntry } from "../history/MigrationHistory.ts"
import { isIntact } from "../plan/HistoryMismatch.ts"
import * as Plan from "../plan/Plan.ts"
import { Target } from "../plan/Target.ts"

/** The state of one revision. */
export interface RevisionStatus {
  readonly revision: string
  readonly phase: Phase
  /**
   * `missing`: applied, but this program has no file for it. `edited`: applied, and its file changed since. `late`: not applied,
   * although a higher number is, or another revision has its number. `applying`, `reverting`: partly applied.
   */
  readonly state: "applied" | "pending" | "late" | "applying" | "reverting" | "missing" | "edited"
  /** Of a partly applied revision: how many of its statements are done. */
  readonly steps: { readonly done: number; readonly total: number } | null
  readonly appliedAt: string | null
  readonly durationMs: number | null
}

/** Combines files and history, ordered by number. */
export const revisionStatuses = (
  set: RevisionSet,
  history: ReadonlyArray<HistoryEntry>
): ReadonlyArray<RevisionStatus> => {
  const entries = new Map(history.map((entry) => [entry.revision, entry]))
  const files = new Map(set.revisions.map((revision) => [revision.number, revision]))
  const highest = Math.max(0, ...entries.keys())
  return [...new Set([...files.keys(), ...entries.keys()])]
    .sort((a, b) => a - b)
    .flatMap((number): ReadonlyArray<RevisionStatus> => {
      const entry = entries.get(number)
      const file = files.get(number)
      const same = file !== undefined && entry !== undefined && file.slug === entry.slug
      const waiting = number <= highest ? "late" : "pending"
      const pending = { state: waiting, steps: null, appliedAt: null, durationMs: null } as const
      if (entry === undefined) {
        return file === undefined ? [] : [{ revision: revisionName(number, file.slug), phase: file.phase, ...pending }]
      }
      const intact = same && isIntact(entry, file)
      const applied: RevisionStatus = {
        revision: revisionName(number, entry.slug),
        phase: entry.phase,
        state: entry.state !== "applied" ? entry.state : intact ? "applied" : same ? "edited" : "missing",
        steps: entry.state === "applied" ? null : { done: entry.steps_done, total: entry.steps_total },
        appliedAt: entry.finished_at?.toISOString() ?? null,
        durationMs: entry.duration_ms
      }
      return file === undefined || same
        ? [applied]
        : [applied, { revision: revisionName(number, file.slug), phase: file.phase, ...pending }]
    })
}

/** Reads the state of a service's schema. Takes no lock and changes nothing. */
export const readStatus = Effect.fn("Migrator.status")(function* (service: MigratedService) {
  const opened = yield* openSchema(service)
  const { entries, session, set } = opened
  const plan = Plan.make(set, entries, Target.Head())
  return {
    service: service.name,
    /** Without password. */
    address: session.address,
    current: Plan.currentOf(entries).name,
    head: headOf(set).name,
    revisions: revisionStatuses(set, entries),
    /** Why an upgrade would be refused, or null. */
    problem: Either.isLeft(plan) ? plan.left : yield* unadoptedIn(opened)
  }
}, Effect.scoped)

export type Status = Effect.Effect.Success<ReturnType<typeof readStatus>>
