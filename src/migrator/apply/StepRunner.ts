import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { DataRevisionUnreadable } from "../files/DataModule.ts"
import { revisionName } from "../files/Revision.ts"
import type { DataLossRefused } from "../plan/DataLoss.ts"
import type { Step } from "../plan/Plan.ts"
import type { PartlyApplied } from "../plan/PlanRefusal.ts"
import { watched } from "./Blockers.ts"
import { dataWork } from "./DataStep.ts"
import { runStatementByStatement } from "./NonTransactionalStep.ts"
import { commitOfStep, ownRecord, RevisionFailed } from "./RevisionFailed.ts"
import type { LockLost } from "./SchemaLock.ts"
import type { StatementFailed } from "./Script.ts"
import { withoutSecrets } from "./Secrets.ts"
import { readStep, refOf, runInTransaction, type StepContext, type StepError, sectionOf } from "./StepContext.ts"

export interface Application extends StepContext {
  /** The migration connection, for a second look. */
  readonly url: Redacted.Redacted
  /** Where the schema stands before the step. */
  readonly standing: string
}

/** Why a step did not come to its end. */
export type StepFailure = DataLossRefused | RevisionFailed | LockLost | PartlyApplied | DataRevisionUnreadable

/** 55P03: lock_timeout passed. 40P01: deadlock. Waiting mends both. */
const isContention = (error: StepError): boolean => {
  if (error._tag === "DataLossRefused" || error._tag === "LockLost" || error._tag === "PartlyApplied") return false
  const { sqlstate } = error._tag === "StatementFailed" ? error.cause : error
  return sqlstate === "55P03" || sqlstate === "40P01"
}

/** An error of COMMIT, or of the history's own statements, has no place of its own: it is the step's. */
const placeless = (application: Application, step: Step, error: DatabaseError) => ({
  direction: step._tag === "Apply" ? ("up" as const) : ("down" as const),
  cause: error,
  place: {
    file:
      step._tag === "Apply"
        ? step.revision.file
        : Option.getOrElse(step.file, () => `${application.service}.schema_history.down_script`),
    line: sectionOf(step).line,
    source: sectionOf(step).text.split("\n")[0] ?? "",
    statement: error.phase === "commit" ? commitOfStep : ownRecord
  }
})

const outcomeOf = (
  application: Application,
  step: Step,
  cause: DatabaseError,
  invalidIndex: string | undefined
): string => {
  const { service, standing } = application
  if (!sectionOf(step).transaction) {
    const index =
      invalidIndex === undefined
        ? "and the next run goes on after it"
        : `and index ${invalidIndex} is there, invalid: pnpm migrate --service ${service} repair --retry drops it and goes on`
    return `It runs without a transaction: what it did before stays, ${index}`
  }
  return cause.phase === "commit" && cause.sqlstate === undefined
    ? "The connection broke at COMMIT, so only schema_history can tell whether it was applied"
    : `It was rolled back; ${service} stays at ${standing}`
}

const detailsOf = (failure: RevisionFailed | PartlyApplied): object =>
  failure._tag === "PartlyApplied"
    ? { error: failure._tag, stepsDone: failure.stepsDone, stepsTotal: failure.stepsTotal }
    : {
        error: failure._tag,
        direction: failure.direction,
        sqlstate: failure.cause.sqlstate,
        file: failure.place.file,
        line: failure.place.line,
        attempts: failure.attempts,
        blockers: failure.blockers
      }

const reasonOf = (failure: RevisionFailed | PartlyApplied): string =>
  failure._tag === "PartlyApplied" ? failure.message : failure.record

/** The event log must not hide the failure that it is about: what goes wrong here is only logged. */
const recordFailure = ({ session, history }: Application, step: Step, failure: RevisionFailed | PartlyApplied) =>
  session.reset.pipe(
    Effect.zipRight(history.event("failed", refOf(step), reasonOf(failure), detailsOf(failure))),
    Effect.catchAll((error) => Effect.logWarning(`the failure could not be recorded in schema_event: ${error.message}`))
  )

const isData = (step: Step): boolean => (step._tag === "Apply" ? step.revision.kind : step.entry.kind) === "ts"

/** The step as an effect: its statements, or its module. */
const workOf = (
  application: Application,
  step: Step
): Effect.Effect<Effect.Effect<void, StepError>, StatementFailed | DataRevisionUnreadable> =>
  isData(step)
    ? dataWork(application, step)
    : Effect.map(readStep(step, application.service), ({ script, verify }) =>
        sectionOf(step).transaction
          ? runInTransaction(application, step, script, verify)
          : runStatementByStatement(application, step, script, verify)
      )

/**
 * Runs one step to its end, with its history row and its event. A lock timeout or a deadlock is tried again, from the
 * start of its transaction, with growing, jittered pauses; the last failure names who stood in the way.
 */
export const runStep = (application: Application, step: Step): Effect.Effect<void, StepFailure> => {
  const { options, service, session, url } = application
  const { revision: number, slug } = refOf(step)
  const name = revisionName(number, slug)
  const section = sectionOf(step)
  const lockTimeout = Option.getOrElse(section.lockTimeout, () => options.lockTimeout)

  const attempt = (count: number, seen: Ref.Ref<ReadonlyArray<string>>): Effect.Effect<void, StepFailure> =>
    Effect.gen(function* () {
      yield* session.reset
      const work = yield* workOf(application, step)
      const watch = section.transaction && (count > 1 || options.attempts === 1)
      const after = Duration.times(lockTimeout, 0.5)
      yield* watch ? watched(work, { url, pid: session.connection.backendPid, after, seen }) : work
    }).pipe(
      Effect.catchAll((error: StepError | DataRevisionUnreadable) =>
        Effect.gen(function* () {
          if (error._tag === "DataLossRefused" || error._tag === "LockLost") return yield* error
          if (error._tag === "DataRevisionUnreadable") return yield* error
          if (error._tag === "PartlyApplied") {
            yield* recordFailure(application, step, error)
            return yield* error
          }
          const blockers = yield* Ref.get(seen)
          if (isContention(error) && section.transaction && count < options.attempts) {
            const jitter = yield* Random.nextRange(0.5, 1.5)
            const pause = Duration.times(options.firstPause, 2 ** (count - 1) * jitter)
            const by = blockers.length === 0 ? "" : `, blocked by ${blockers.join(", ")}`
            yield* Effect.logWarning(
              `${service}: ${name} could not get its locks (attempt ${count} of ${options.attempts}: ${error.message}${by}); ` +
                `trying again in ${Duration.format(Duration.millis(Math.round(Duration.toMillis(pause))))}`
            )
            yield* Effect.sleep(pause)
            return yield* attempt(count + 1, seen)
          }
          const known: Pick<StatementFailed, "place" | "direction" | "cause" | "invalidIndex"> =
            error._tag === "StatementFailed" ? error : placeless(application, step, error)
          const { cause, place } = yield* withoutSecrets(known)
          const failure = new RevisionFailed({
            service,
            revision: name,
            direction: known.direction,
            place,
            cause,
            attempts: count,
            blockers,
            outcome:
              error._tag === "StatementFailed" && error.unread === true
                ? `Nothing was run; ${service} stays at ${application.standing}`
                : outcomeOf(application, step, known.cause, known.invalidIndex)
          })
          yield* recordFailure(application, step, failure)
          return yield* failure
        })
      )
    )

  const done = step._tag === "Apply" ? "applied" : "reverted"
  return Ref.make<ReadonlyArray<string>>([]).pipe(
    Effect.flatMap((seen) => attempt(1, seen)),
    Effect.timed,
    Effect.flatMap(([took]) =>
      Effect.logInfo(`${service}: ${name} ${done} in ${Math.round(Duration.toMillis(took))} ms`)
    ),
    Effect.annotateLogs({ service, revision: name }),
    Effect.withSpan(step._tag === "Apply" ? "Migrator.apply" : "Migrator.revert", {
      attributes: { service, revision: name }
    })
  )
}
