import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { checksumOf } from "../files/RevisionFile.ts"
import { classOf, readTree, type Statement, type StatementClass, shownName } from "../files/Statements.ts"
import type { HistoryEntry } from "../history/MigrationHistory.ts"
import { partlyApplied } from "../plan/HistoryMismatch.ts"
import type { Step } from "../plan/Plan.ts"
import { detachState, indexState, invalidIndexes } from "./Catalog.ts"
import { ownRecord } from "./RevisionFailed.ts"
import type { LockLost } from "./SchemaLock.ts"
import { runStatement, runVerify, type Script, StatementFailed, setTimeouts } from "./Script.ts"
import { eventOf, halfwayOfStep, refOf, type StepContext, type StepError, sectionOf } from "./StepContext.ts"

/** Before the first statement: from here on the history row says that the revision is half-way. */
const begin = ({ history, lock }: StepContext, step: Step, statements: number, startedAt: string) =>
  lock.transaction(() =>
    Effect.gen(function* () {
      if (step._tag === "Revert") {
        if (step.entry.state !== "reverting") yield* history.beginRevert(step.entry.revision, statements)
      } else if (step.halfway === undefined) {
        yield* history.insert(step.revision, "applying", statements, startedAt)
      }
    })
  )

/** Runs the record of what a step did, after a check that its statements left the lock and the history as they were. */
const recorded = <A, E>(
  { lock }: StepContext,
  record: Effect.Effect<A, E | DatabaseError>,
  failed: (cause: DatabaseError) => StatementFailed | DatabaseError = (cause) => cause
) =>
  Effect.gen(function* () {
    const { explain, requireHeld } = yield* lock.aftermath
    yield* Effect.mapError(requireHeld, failed)
    return yield* Effect.mapError(record, (error) => (error instanceof DatabaseError ? explain(error) : error))
  })

/** After the last statement: assertions, row and event commit together. */
const end = (context: StepContext, step: Step, verify: Script | undefined) => {
  const { history, lock, session } = context
  return lock.transaction(() =>
    Effect.gen(function* () {
      if (verify !== undefined) yield* runVerify(session.connection, verify)
      if (step._tag === "Apply") {
        // A statement that failed may have been corrected in the file since the row was inserted.
        if (step.halfway !== undefined) yield* history.accept(step.revision)
        yield* history.finish(step.revision.number)
      } else {
        yield* history.remove(step.entry.revision)
      }
      yield* history.event(eventOf(step), refOf(step), null)
    })
  )
}

/**
 * Runs `work` outside a transaction, between the record that it began and the record that it ended.
 *
 * Without a `lock_timeout` in its file the step waits for locks without a limit. A concurrent index waits for old transactions while
 * traffic continues, and giving up would leave the index invalid.
 */
export const outsideTransaction = Effect.fnUntraced(function* <E>(
  context: StepContext,
  step: Step,
  statements: number,
  work: Effect.Effect<void, E>,
  verify?: Script
) {
  yield* context.session.reset
  const startedAt = yield* setTimeouts(context.session.connection, sectionOf(step), Duration.zero)
  yield* begin(context, step, statements, startedAt)
  yield* work
  yield* recorded(context, end(context, step, verify))
})

/** The number, from 1, of the first statement that ran with another text than `now` has; null if there is no such statement. */
export const firstChanged = (
  ran: Pick<HistoryEntry, "steps_done" | "step_checksums">,
  now: ReadonlyArray<string>
): number | null => {
  const changed = Array.from({ length: ran.steps_done }, (_, index) => index).find(
    (index) => now[index] === undefined || ran.step_checksums[index] !== now[index]
  )
  return changed === undefined ? null : changed + 1
}

/** As `firstChanged`, for the statements of a script. Rows of history format 1 have only the checksum of the whole section. */
export const changedSince = (entry: HistoryEntry, script: Pick<Script, "section" | "statements">): number | null => {
  const checksum = entry.state === "applying" ? entry.up_checksum : entry.down_checksum
  return entry.step_checksums.length === 0 && script.section.checksum === checksum
    ? null
    : firstChanged(
        entry,
        script.statements.map(({ text }) => checksumOf(text))
      )
}

/** What the catalog says about the statement at which an earlier run was interrupted; null if it can simply run. */
const stateOfStatement = Effect.fnUntraced(function* (
  { service, session: { connection } }: StepContext,
  kind: StatementClass,
  number: number,
  outcomeUnknown: boolean
) {
  const unknown = {
    problem:
      `the outcome of statement ${number} was not recorded; check whether it is done, then close the revision by hand, or ` +
      `run the statement again: pnpm migrate --service ${service} repair --retry`
  }
  const invalid = (name: string) => ({
    problem:
      `a concurrent index build failed and left index ${name} invalid; drop it and continue: ` +
      `pnpm migrate --service ${service} repair --retry`
  })
  switch (kind._tag) {
    case "CreateIndex": {
      if (kind.index === null) {
        const [first] = yield* invalidIndexes(connection, { table: kind.table })
        return first !== undefined ? invalid(shownName(first)) : outcomeUnknown ? unknown : null
      }
      const valid = yield* indexState(connection, kind.index)
      if (Option.isSome(valid) && !valid.value) return invalid(shownName(kind.index))
      // PostgreSQL would have refused the statement if the index had existed before it: so the statement created it.
      return Option.isSome(valid) && outcomeUnknown ? "done" : null
    }
    case "DropIndex":
      return outcomeUnknown && Option.isNone(yield* indexState(connection, kind.index)) ? "done" : null
    case "DetachPartition": {
      const found = yield* detachState(connection, kind)
      if (Option.isNone(found)) return outcomeUnknown ? "done" : null
      const [partition, table] = [shownName(kind.partition), shownName(kind.table)]
      const problem =
        `detaching partition ${partition} from ${table} was cut off, and is pending; finish it and continue: ` +
        `pnpm migrate --service ${service} repair --retry`
      return found.value === "pending" ? { problem } : null
    }
    case "Opaque":
      return outcomeUnknown ? unknown : null
    default:
      return null
  }
})

/** Runs a statement that cannot be in a transaction. Between the record of its begin and that of its end its outcome is unknown. */
const runAlone = (
  { history, lock, session: { connection } }: StepContext,
  script: Script,
  statement: Statement,
  kind: StatementClass,
  revision: number,
  index: number
): Effect.Effect<void, StatementFailed | DatabaseError | LockLost> =>
  lock
    .transaction(() => history.stepsBegun(revision, index + 1))
    .pipe(
      Effect.zipRight(runStatement(connection, script, statement)),
      Effect.catchTag("StatementFailed", (failed) =>
        Effect.gen(function* () {
          // A SQLSTATE is the server's reply: the statement ended. Without one the session is gone, and the record stays.
          if (failed.cause.sqlstate === undefined) return yield* failed
          const { cause, direction, location } = failed
          if (kind._tag === "DetachPartition") {
            const found = yield* detachState(connection, kind)
            // The record that it began stays, so that a later run sees in the catalog when the detach is finished.
            if (Option.contains(found, "pending")) {
              const pendingDetach = shownName(kind.partition)
              return yield* new StatementFailed({ cause, direction, location, pendingDetach })
            }
          }
          yield* history.stepsBegun(revision, index)
          if (kind._tag !== "CreateIndex") return yield* failed
          const left = (yield* invalidIndexes(connection, { table: kind.table })).find(
            ({ name }) => kind.index === null || kind.index.name === name
          )
          if (left === undefined) return yield* failed
          return yield* new StatementFailed({ cause, direction, location, invalidIndex: shownName(left) })
        })
      ),
      Effect.asVoid
    )

/** Runs the statements after the first `done`, each with its record. */
const runRemaining = Effect.fnUntraced(function* (
  context: StepContext,
  step: Step,
  script: Script,
  alreadyDone: number,
  stop: (stepsDone: number, problem: string) => StepError
) {
  const { history, lock, session } = context
  const { connection } = session
  const { revision } = refOf(step)
  const total = script.statements.length
  for (const [index, statement] of script.statements.entries()) {
    const kind = classOf(yield* readTree(statement.text))
    if (index < alreadyDone) {
      if (kind._tag === "Setting") yield* runStatement(connection, script, statement)
      continue
    }
    const done = history.stepDone(revision, index + 1, total, checksumOf(statement.text))
    const { direction, file } = script
    // The statement itself did not fail, and its text may be a secret.
    const location = { file, line: statement.line, source: "", statement: ownRecord }
    const record = recorded(context, done, (cause) => new StatementFailed({ direction, cause, location }))
    if (kind._tag === "Transactional") {
      const run = runStatement(connection, script, statement)
      yield* lock.transaction(() => Effect.zipRight(run, record))
      continue
    }
    const outcomeUnknown = halfwayOfStep(step)?.steps_begun === index + 1
    const state = yield* stateOfStatement(context, kind, index + 1, outcomeUnknown)
    if (state !== null && state !== "done") return yield* Effect.fail(stop(index, state.problem))
    if (state === null) yield* runAlone(context, script, statement, kind, revision, index)
    yield* record
  }
})

/**
 * Runs an SQL revision one statement at a time, each committed by itself and recorded with its checksum.
 *
 * A run after a crash continues after the last recorded statement, if the statements that ran are still those of the file. A
 * statement that may be in a transaction commits with its record. For a concurrent index the catalog says whether it was built. For
 * other statements an unrecorded outcome stays unknown, and the step fails with PartlyApplied instead of guessing.
 */
export const nonTransactionalStep = Effect.fnUntraced(function* (
  context: StepContext,
  step: Step,
  script: Script,
  verify: Script | undefined
) {
  const { service } = context
  const { revision, slug } = refOf(step)
  const total = script.statements.length
  const earlier = halfwayOfStep(step)
  const done = earlier?.steps_done ?? 0
  const state = step._tag === "Apply" ? "applying" : "reverting"
  const stop = (stepsDone: number, problem: string) =>
    partlyApplied(service, { revision, slug, state, steps_done: stepsDone, steps_total: total }, problem)
  if (earlier !== undefined) {
    const changed = changedSince(earlier, script)
    if (changed !== null) {
      return yield* stop(done, `statement ${changed} of ${script.file} differs from the one that ran; restore it`)
    }
    yield* Effect.logWarning(
      `${service}: revision ${revision} was interrupted after ${done} of ${total} statements; it continues from there`
    )
  }
  const work: Effect.Effect<void, StepError> = runRemaining(context, step, script, done, stop)
  yield* outsideTransaction(context, step, total, work, verify)
})
