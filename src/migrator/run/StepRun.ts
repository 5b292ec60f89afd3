import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { DatabaseError } from "../../platform/DatabaseError.ts"
import type { History, RevisionRef } from "../history/History.ts"
import type { Step } from "../plan/Plan.ts"
import { readScript, runStatement, runVerify, type Script, type StatementFailed, setTimeouts } from "./Execution.ts"
import type { LockLost, SchemaLock } from "./SchemaLock.ts"
import type { Session } from "./Session.ts"

/** What one step works with. */
export interface Bench {
  readonly session: Session
  readonly lock: SchemaLock
  readonly history: History
  readonly lockTimeout: Duration.Duration
}

export type StepError = StatementFailed | DatabaseError | LockLost

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
  { session, lock, history, lockTimeout }: Bench,
  step: Step,
  script: Script,
  verify: Option.Option<Script>
): Effect.Effect<void, StepError> =>
  session.connection.transaction(
    Effect.gen(function* () {
      yield* lock.fence
      const startedAt = yield* setTimeouts(session.connection, script.section, lockTimeout)
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

/**
 * Statement by statement, each its own transaction, with the number done recorded after each: whoever comes after a crash
 * can see how far it went. Without a `lock_timeout` of its own it waits for locks: a concurrent index waits for old
 * transactions while everybody works on, and giving up would leave it invalid.
 */
export const runWithoutTransaction = (
  { session, lock, history }: Bench,
  step: Step,
  script: Script,
  verify: Option.Option<Script>
): Effect.Effect<void, StepError> =>
  Effect.gen(function* () {
    const { connection } = session
    const number = refOf(step).revision
    const startedAt = yield* setTimeouts(connection, script.section, "0 millis")
    yield* connection.transaction(
      lock.fence.pipe(
        Effect.zipRight(
          step._tag === "Apply"
            ? history.insert(step.revision, "applying", script.statements.length, startedAt)
            : history.beginRevert(number, script.statements.length)
        )
      )
    )
    for (const [index, statement] of script.statements.entries()) {
      yield* runStatement(connection, script, statement)
      yield* history.stepDone(number, index + 1)
    }
    yield* connection.transaction(
      Effect.gen(function* () {
        yield* lock.fence
        if (Option.isSome(verify)) yield* runVerify(connection, verify.value)
        yield* step._tag === "Apply" ? history.finish(number) : history.remove(number)
        yield* history.event(step._tag === "Apply" ? "applied" : "reverted", refOf(step), null)
      })
    )
  })
