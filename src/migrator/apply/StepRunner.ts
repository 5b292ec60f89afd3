import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { DataRevisionUnreadable } from "../files/DataModule.ts"
import type { DataLossRefused } from "../plan/DestructiveChange.ts"
import type { Step } from "../plan/Plan.ts"
import type { PartlyApplied } from "../plan/PlanRefusal.ts"
import { dataStep } from "./DataStep.ts"
import { nonTransactionalStep } from "./NonTransactionalStep.ts"
import { type NoticeOf, withNotices } from "./Notices.ts"
import { commitOfStep, ownRecord, RevisionFailed } from "./RevisionFailed.ts"
import type { LockLost } from "./SchemaLock.ts"
import { readAssertions, readScript, StatementFailed } from "./Script.ts"
import { withoutSecrets } from "./Secrets.ts"
import {
  directionOf,
  eventOf,
  isContention,
  nameOfStep,
  pauseAfter,
  refOf,
  type StepContext,
  sectionOf,
  sourceOf,
  transactionalStep,
  withBlockersWatched
} from "./StepContext.ts"

/** Why a step was not completed. */
type StepFailure = DataLossRefused | RevisionFailed | LockLost | PartlyApplied | DataRevisionUnreadable

/** Reads the step's statements and, for an upgrade, its assertions. A marker in the file turns the transaction off. */
const sqlStep = Effect.fnUntraced(function* (context: StepContext, step: Step, noticed: NoticeOf) {
  const file = sourceOf(step, context.service)
  const script = { ...(yield* readScript(file, sectionOf(step), directionOf(step))), noticed }
  const assertions = yield* readAssertions(step)
  const verify = assertions && { ...assertions, noticed }
  return (sectionOf(step).transaction ? transactionalStep : nonTransactionalStep)(context, step, script, verify)
})

/** Locates an error of COMMIT or of the migrator's own statements at the first line of the step: PostgreSQL gives no line. */
const failureOfStep = (context: StepContext, step: Step, cause: DatabaseError): StatementFailed =>
  new StatementFailed({
    direction: directionOf(step),
    cause,
    location: {
      file: sourceOf(step, context.service),
      line: sectionOf(step).line,
      source: sectionOf(step).text.split("\n")[0] ?? "",
      statement: cause.phase === "commit" ? commitOfStep : ownRecord
    }
  })

const outcomeOf = (
  { current, service }: StepContext,
  step: Step,
  { cause, invalidIndex, pendingDetach, unread }: StatementFailed
): string => {
  if (unread === true) return `Nothing was run; ${service} stays at ${current}`
  if (!sectionOf(step).transaction) {
    const repair = `pnpm migrate --service ${service} repair --retry`
    const next =
      invalidIndex !== undefined
        ? `and index ${invalidIndex} is left invalid: ${repair} drops it and continues`
        : pendingDetach !== undefined
          ? `and partition ${pendingDetach} is left half detached: ${repair} finishes that and continues`
          : "and the next run continues after them"
    return `The revision runs without a transaction, so the statements before this one stay, ${next}`
  }
  return cause.phase === "commit" && cause.sqlstate === undefined
    ? "The connection broke at COMMIT, so only schema_history shows whether it was applied"
    : `It was rolled back; ${service} stays at ${current}`
}

/** Records the failure as an event. A failure to do so is only logged: it must not hide the first one. */
const recordFailure = ({ session, history }: StepContext, step: Step, failure: RevisionFailed | PartlyApplied) => {
  const { reason, ...details } = failure.record
  return session.reset.pipe(
    Effect.zipRight(history.event("failed", refOf(step), reason, { error: failure._tag, ...details })),
    Effect.catchAll((error) => Effect.logWarning(`the failure could not be recorded in schema_event: ${error.message}`))
  )
}

/** Turns what ended the last attempt into the step's failure, and records it. */
const fail = Effect.fnUntraced(function* (
  context: StepContext,
  step: Step,
  error: StatementFailed | DatabaseError,
  attempts: number,
  blockers: ReadonlyArray<string>
) {
  const failed = error._tag === "StatementFailed" ? error : failureOfStep(context, step, error)
  const failure = new RevisionFailed({
    service: context.service,
    revision: nameOfStep(step),
    direction: failed.direction,
    ...(yield* withoutSecrets(failed)),
    attempts,
    blockers,
    notices: context.notices.all(),
    outcome: outcomeOf(context, step, failed)
  })
  yield* recordFailure(context, step, failure)
  return yield* failure
})

/** Attempt `count` (from 1); a transaction that met a lock timeout or a deadlock is attempted again. */
const attempt = (
  context: StepContext,
  step: Step,
  count: number,
  seen: Ref.Ref<ReadonlyArray<string>>
): Effect.Effect<void, StepFailure> => {
  const { options, service } = context
  const { lockTimeout, transaction } = sectionOf(step)
  const run = Effect.gen(function* () {
    const { revision } = step
    const { kind } = step._tag === "Apply" ? step.revision : step.entry
    const isData = kind === "ts" && revision !== undefined
    const watch = transaction && (count > 1 || options.attempts === 1)
    const limit = Option.getOrElse(lockTimeout, () => options.lockTimeout)
    const run = Effect.fnUntraced(function* (noticed: NoticeOf) {
      const work = yield* isData ? dataStep(context, step, revision, noticed) : sqlStep(context, step, noticed)
      yield* watch ? withBlockersWatched(work, context, Duration.times(limit, 0.5), seen) : work
    })
    const [direction, file] = [directionOf(step), sourceOf(step, service)]
    const notice = { log: context.notices, verbose: options.verbose, revision: nameOfStep(step), direction, file }
    yield* withNotices({ ...notice, line: sectionOf(step).line }, run)
  })
  const failed = Effect.fnUntraced(function* (error: StatementFailed | DatabaseError) {
    const blockers = yield* Ref.get(seen)
    const cause = error._tag === "StatementFailed" ? error.cause : error
    if (!isContention(cause) || !transaction || count >= options.attempts) {
      return yield* fail(context, step, error, count, blockers)
    }
    const pause = yield* pauseAfter(count, options)
    const by = blockers.length === 0 ? "" : `, blocked by ${blockers.join(", ")}`
    yield* Effect.logWarning(
      `${service}: ${nameOfStep(step)} could not get its locks (attempt ${count} of ${options.attempts}: ` +
        `${error.message}${by}); trying again in ${Duration.format(Duration.millis(Math.round(Duration.toMillis(pause))))}`
    )
    yield* Effect.sleep(pause)
    return yield* attempt(context, step, count + 1, seen)
  })
  return Effect.catchTags(run, {
    PartlyApplied: (error) => Effect.zipRight(recordFailure(context, step, error), error),
    StatementFailed: failed,
    DatabaseError: failed
  })
}

/**
 * Runs one step of a plan, with its history row and its event.
 *
 * A step of an SQL revision is a `transactionalStep` or a `nonTransactionalStep`, one of a data revision a `dataStep`. After a
 * lock timeout or a deadlock the transaction is retried up to `options.attempts` times; the failure names the sessions that
 * blocked it. Fails with RevisionFailed when PostgreSQL refuses a statement, with PartlyApplied when it cannot continue safely.
 */
export const runStep = (context: StepContext, step: Step): Effect.Effect<void, StepFailure> => {
  const { service } = context
  const revision = nameOfStep(step)
  return Ref.make<ReadonlyArray<string>>([]).pipe(
    Effect.flatMap((seen) => attempt(context, step, 1, seen)),
    Effect.timed,
    Effect.flatMap(([took]) =>
      Effect.logInfo(`${service}: ${revision} ${eventOf(step)} in ${Math.round(Duration.toMillis(took))} ms`)
    ),
    Effect.annotateLogs({ service, revision }),
    Effect.withSpan(step._tag === "Apply" ? "Migrator.apply" : "Migrator.revert", { attributes: { service, revision } })
  )
}
