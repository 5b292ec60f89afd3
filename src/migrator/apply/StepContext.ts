import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ServiceName } from "../../domain/Service.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { MigrationHistory, RevisionRef } from "../history/MigrationHistory.ts"
import type { MigratorOptionsValues } from "../MigratorOptions.ts"
import type { DataLossRefused } from "../plan/DataLoss.ts"
import type { Step } from "../plan/Plan.ts"
import type { PartlyApplied } from "../plan/PlanRefusal.ts"
import { type DowngradeGoal, refuseLossesWithin } from "./LossCheck.ts"
import type { LockLost, SchemaLock } from "./SchemaLock.ts"
import { readScript, runStatement, runVerify, type Script, type StatementFailed, setTimeouts } from "./Script.ts"
import type { MigrationSession } from "./Session.ts"

/** What one step works with. */
export interface StepContext {
  readonly service: ServiceName
  readonly options: MigratorOptionsValues
  readonly session: MigrationSession
  readonly lock: SchemaLock
  readonly history: MigrationHistory
  readonly lockTimeout: Duration.Duration
  /** Of which this step is a part, for a refusal to destroy rows. */
  readonly way: DowngradeGoal
}

export type StepError = DataLossRefused | StatementFailed | DatabaseError | LockLost | PartlyApplied

export const sectionOf = (step: Step) => (step._tag === "Apply" ? step.revision.up : step.down)

export const refOf = (step: Step): RevisionRef =>
  step._tag === "Apply" ? { revision: step.revision.number, slug: step.revision.slug } : step.entry

/** The step's statements, and its assertions where it goes up. */
export const readStep = (step: Step, service: string) =>
  Effect.all({
    script:
      step._tag === "Apply"
        ? readScript(step.revision.file, step.revision.up, "up")
        : readScript(
            Option.getOrElse(step.file, () => `${service}.schema_history.down_script`),
            step.down,
            "down"
          ),
    verify:
      step._tag === "Apply" && Option.isSome(step.revision.verify)
        ? Effect.asSome(readScript(step.revision.file, step.revision.verify.value, "verify"))
        : Effect.succeedNone
  })

/** The statements, the history row and the event commit together, or none does. */
export const runInTransaction = (
  { session, lock, history, lockTimeout, options, way }: StepContext,
  step: Step,
  script: Script,
  verify: Option.Option<Script>
): Effect.Effect<void, StepError> =>
  session.connection.transaction(
    Effect.gen(function* () {
      const guarded = step._tag === "Revert" && !options.allowDataLoss
      // Before any query, whatever the role's default: see refuseLossesWithin.
      if (guarded) yield* session.connection.query("set transaction isolation level read committed")
      yield* lock.fence
      const startedAt = yield* setTimeouts(session.connection, script.section, lockTimeout)
      if (guarded) yield* refuseLossesWithin(session.connection, step, way)
      for (const statement of script.statements) yield* runStatement(session.connection, script, statement)
      if (Option.isSome(verify)) yield* runVerify(session.connection, verify.value)
      if (step._tag === "Apply") {
        yield* history.insert(step.revision, "applied", script.statements.length, startedAt)
        yield* history.event("applied", refOf(step), null)
      } else {
        yield* history.remove(step.entry.revision)
        yield* history.event("reverted", refOf(step), null)
      }
    })
  )

/** What opens a revision that runs without a transaction: its row says from then on that it is half-way. */
export const beginStep = ({ history, lock, session }: StepContext, step: Step, total: number, startedAt: string) =>
  session.connection.transaction(
    Effect.gen(function* () {
      yield* lock.fence
      if (step._tag === "Revert") {
        if (step.entry.state !== "reverting") yield* history.beginRevert(step.entry.revision, total)
      } else if (Option.isNone(step.halfway)) {
        yield* history.insert(step.revision, "applying", total, startedAt)
      }
    })
  )

/** What closes it: assertions, row and event commit together. */
export const endStep = ({ history, lock, session }: StepContext, step: Step, verify: Option.Option<Script>) =>
  session.connection.transaction(
    Effect.gen(function* () {
      yield* lock.fence
      if (Option.isSome(verify)) yield* runVerify(session.connection, verify.value)
      if (step._tag === "Apply") {
        // What failed may have been corrected in the file since the row was made.
        if (Option.isSome(step.halfway)) yield* history.accept(step.revision)
        yield* history.finish(step.revision.number)
      } else {
        yield* history.remove(step.entry.revision)
      }
      yield* history.event(step._tag === "Apply" ? "applied" : "reverted", refOf(step), null)
    })
  )
