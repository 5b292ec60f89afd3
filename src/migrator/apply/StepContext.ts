import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type { ServiceName } from "../../domain/Service.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { DataRevisionUnreadable } from "../files/DataModule.ts"
import { revisionName } from "../files/Revision.ts"
import type { MigrationHistory, RevisionRef } from "../history/MigrationHistory.ts"
import type { MigratorOptionsValues } from "../MigratorOptions.ts"
import type { DataLossRefused } from "../plan/DataLoss.ts"
import type { Step } from "../plan/Plan.ts"
import type { PartlyApplied } from "../plan/PlanRefusal.ts"
import type { DowngradeGoal } from "./LossCheck.ts"
import type { LockLost, SchemaLock } from "./SchemaLock.ts"
import type { StatementFailed } from "./Script.ts"
import type { MigrationSession } from "./Session.ts"

/** What a step needs to run. */
export interface StepContext {
  readonly service: ServiceName
  readonly options: MigratorOptionsValues
  readonly session: MigrationSession
  /** Of the migration connection, for a second session that looks for blockers. */
  readonly url: Redacted.Redacted
  readonly lock: SchemaLock
  readonly history: MigrationHistory
  /** The current revision before the step. */
  readonly current: string
  /** The downgrade that the step belongs to; a refusal to destroy rows reports it. */
  readonly downgrade: DowngradeGoal
}

/** Why a step failed while it ran. */
export type StepError = DataLossRefused | StatementFailed | DatabaseError | LockLost | PartlyApplied

/** A step whose source could be read: the inner effect runs it. */
export type ReadStep = Effect.Effect<Effect.Effect<void, StepError>, StatementFailed | DataRevisionUnreadable>

export const sectionOf = (step: Step) => (step._tag === "Apply" ? step.revision.up : step.down)

export const refOf = (step: Step): RevisionRef =>
  step._tag === "Apply" ? { revision: step.revision.number, slug: step.revision.slug } : step.entry

export const nameOfStep = (step: Step): string => revisionName(refOf(step).revision, refOf(step).slug)

export const directionOf = (step: Step): "up" | "down" => (step._tag === "Apply" ? "up" : "down")

/** The event that records the step. */
export const eventOf = (step: Step): "applied" | "reverted" => (step._tag === "Apply" ? "applied" : "reverted")

/** Where the step's text is: its file, or the column that keeps the down script. */
export const sourceOf = (step: Step, service: string): string =>
  step._tag === "Apply"
    ? step.revision.file
    : Option.getOrElse(step.file, () => `${service}.schema_history.down_script`)
