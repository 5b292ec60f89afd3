import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { type Batches, BatchFailed, notBegun, type Progress } from "../files/Batches.ts"
import { type Revision, revisionName, type Section } from "../files/Revision.ts"
import { isContention, pauseAfter } from "./Contention.ts"
import { LockLost } from "./SchemaLock.ts"
import { StatementFailed } from "./Script.ts"
import type { StepContext } from "./StepContext.ts"

const field = (value: object, key: string): unknown => (key in value ? Reflect.get(value, key) : undefined)

/** Finds the migrator's own failure below the errors that an author wrapped around it (`cause`); undefined if there is none. */
export const migratorFailureIn = (thrown: unknown): StatementFailed | LockLost | DatabaseError | undefined => {
  if (thrown instanceof StatementFailed || thrown instanceof LockLost || thrown instanceof DatabaseError) return thrown
  return typeof thrown === "object" && thrown !== null ? migratorFailureIn(field(thrown, "cause")) : undefined
}

/** Fails every batch: a revision in one transaction cannot commit batches one by one. */
export const batchesRefused: Batches["Type"] = {
  progressOf: (name) =>
    new BatchFailed({ name, problem: 'batches commit one by one: add the line "// migrate:up transaction:false"' }),
  commit: (name) => new BatchFailed({ name, problem: "not in a transaction" })
}

const mayRetry = (error: unknown): boolean => {
  const failure = migratorFailureIn(error)
  if (failure === undefined || failure._tag === "LockLost") return false
  return isContention(failure._tag === "StatementFailed" ? failure.cause : failure)
}

/** Milliseconds between two progress lines of the log. */
const logInterval = 5_000

/** The batches of one revision, on the migrator's session: each in a fenced transaction, with the record of its progress. */
export const committedBatches = (
  { history, lock, options, service, session }: StepContext,
  revision: Revision,
  section: Section,
  inTransaction: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
): Batches["Type"] => {
  const { connection } = session
  const lockTimeout = Option.getOrElse(section.lockTimeout, () => options.lockTimeout)
  const failed = (name: string) => (cause: { readonly message: string }) =>
    new BatchFailed({ name, problem: cause.message, cause })
  let nextLine = 0

  const once = <E, R>(name: string, limit: Duration.DurationInput, batch: Effect.Effect<Progress, E, R>) =>
    connection
      .transaction(
        Effect.gen(function* () {
          yield* lock.fence
          yield* connection.query("select pg_catalog.set_config('lock_timeout', $1, true)", [
            `${Math.round(Duration.toMillis(lockTimeout))}ms`
          ])
          // Marked, so that the author's errors stay as they are and the migrator's become BatchFailed.
          const progress = yield* Effect.mapError(inTransaction(batch), (own) => ({ own }))
          yield* history.saveProgress(revision.number, name, progress)
          return progress
        })
      )
      .pipe(
        Effect.mapError((error) => ("own" in error ? error.own : failed(name)(error))),
        Effect.timeoutFail({
          duration: limit,
          onTimeout: () =>
            new BatchFailed({
              name,
              problem: `a batch took longer than ${Duration.format(Duration.decode(limit))} and was rolled back; make batches smaller`
            })
        })
      )

  const commit = <E, R>(
    name: string,
    limit: Duration.DurationInput,
    batch: Effect.Effect<Progress, E, R>,
    attempt: number
  ): Effect.Effect<Progress, E | BatchFailed, R> =>
    Effect.catchAll(once(name, limit, batch), (error) =>
      mayRetry(error) && attempt < options.attempts
        ? Effect.flatMap(pauseAfter(attempt, options), Effect.sleep).pipe(
            Effect.zipRight(commit(name, limit, batch, attempt + 1))
          )
        : Effect.fail(error)
    )

  return {
    progressOf: (name) =>
      history.progress(revision.number, name).pipe(
        Effect.mapBoth({ onFailure: failed(name), onSuccess: (progress) => progress ?? notBegun }),
        Effect.tap(({ batches, done, rows }) =>
          batches > 0 && !done
            ? Effect.logInfo(`${service}: ${name} continues after ${rows} rows in ${batches} batches`)
            : Effect.void
        )
      ),
    commit: (name, limit, batch) =>
      Effect.tap(commit(name, limit, batch, 1), ({ batches, done, rows }) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          if (!done && now < nextLine) return Effect.void
          nextLine = now + logInterval
          const state = done ? "done" : "running"
          return Effect.logInfo(
            `${service}: ${revisionName(revision.number, revision.slug)}: ${name} ${state}, ${rows} rows in ${batches} batches`
          )
        })
      )
  }
}
