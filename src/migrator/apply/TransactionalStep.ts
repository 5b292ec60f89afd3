import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { Step } from "../plan/Plan.ts"
import { refuseLossesWithin } from "./LossCheck.ts"
import type { LockLost } from "./SchemaLock.ts"
import { runStatement, runVerify, type Script, type StatementFailed, setTimeouts } from "./Script.ts"
import { eventOf, refOf, type StepContext, type StepError, sectionOf } from "./StepContext.ts"

/** The work of a step that runs in one transaction; the step's history row and its event commit with it. */
export const inOneTransaction = (
  { downgrade, history, lock, options, session: { connection } }: StepContext,
  step: Step,
  statements: number,
  work: Effect.Effect<void, StatementFailed | LockLost | DatabaseError>
): Effect.Effect<void, StepError> =>
  connection.transaction(
    Effect.gen(function* () {
      // The work of a data revision cannot be read; its downgrade was refused before, or is allowed.
      const guarded = step._tag === "Revert" && step.entry.kind === "sql" && !options.allowDataLoss
      // The first statement of the transaction, whatever the role's default is: see refuseLossesWithin.
      if (guarded) yield* connection.query("set transaction isolation level read committed")
      yield* lock.fence
      const startedAt = yield* setTimeouts(connection, sectionOf(step), options.lockTimeout)
      if (guarded) yield* refuseLossesWithin(connection, step, downgrade)
      yield* work
      if (step._tag === "Apply") yield* history.insert(step.revision, "applied", statements, startedAt)
      else yield* history.remove(step.entry.revision)
      yield* history.event(eventOf(step), refOf(step), null)
    })
  )

/** Runs an SQL revision in one transaction: its statements, then its assertions. */
export const transactionalStep = (
  context: StepContext,
  step: Step,
  script: Script,
  verify: Option.Option<Script>
): Effect.Effect<void, StepError> => {
  const { connection } = context.session
  return inOneTransaction(
    context,
    step,
    script.statements.length,
    Effect.gen(function* () {
      for (const statement of script.statements) yield* runStatement(connection, script, statement)
      if (Option.isSome(verify)) yield* runVerify(connection, verify.value)
    })
  )
}
