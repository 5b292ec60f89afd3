import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import { type Batches, BatchFailed, notBegun, type Progress } from "../files/Batches.ts"
import { type Revision, revisionName, type Section } from "../files/Revision.ts"
import { migratorFailureIn } from "./InnermostFailure.ts"
import type { StepContext } from "./StepContext.ts"

/** Batches commit by themselves, which a revision in one transaction cannot let them do. */
export const batchesInside: Batches["Type"] = {
  standing: (name) =>
    new BatchFailed({ name, problem: 'batches commit one by one: add the line "// migrate:up transaction:false"' }),
  commit: (name) => new BatchFailed({ name, problem: "not in a transaction" })
}

const isContention = (error: unknown): boolean => {
  const known = migratorFailureIn(error)
  const sqlstate =
    known?._tag === "StatementFailed"
      ? known.cause.sqlstate
      : known?._tag === "DatabaseError"
        ? known.sqlstate
        : undefined
  return sqlstate === "55P03" || sqlstate === "40P01"
}

const lineEvery = 5_000

/** Batches of one revision, on the migrator's session: each in a fenced transaction, with the record of it. */
export const batchesOver = (
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
          // Marked, so that the author's errors come out as they are and ours as BatchFailed.
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
              problem: `a batch lasted longer than ${Duration.format(Duration.decode(limit))} and was rolled back; make batches smaller`
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
      isContention(error) && attempt < options.attempts
        ? Random.nextRange(0.5, 1.5).pipe(
            Effect.flatMap((jitter) => Effect.sleep(Duration.times(options.firstPause, 2 ** (attempt - 1) * jitter))),
            Effect.zipRight(commit(name, limit, batch, attempt + 1))
          )
        : Effect.fail(error)
    )

  return {
    standing: (name) =>
      history.progress(revision.number, name).pipe(
        Effect.mapBoth({ onFailure: failed(name), onSuccess: (progress) => progress ?? notBegun }),
        Effect.tap(({ batches, done, rows }) =>
          batches > 0 && !done
            ? Effect.logInfo(`${service}: ${name} goes on after ${rows} rows in ${batches} batches`)
            : Effect.void
        )
      ),
    commit: (name, limit, batch) =>
      Effect.tap(commit(name, limit, batch, 1), ({ batches, done, rows }) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          if (!done && now < nextLine) return Effect.void
          nextLine = now + lineEvery
          const state = done ? "done" : "at work"
          return Effect.logInfo(
            `${service}: ${revisionName(revision.number, revision.slug)}: ${name} ${state}, ${rows} rows in ${batches} batches`
          )
        })
      )
  }
}
