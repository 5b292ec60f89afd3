import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import type * as SqlConnection from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { Connection } from "../../platform/postgres/Connection.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { Noticed } from "../../platform/postgres/NoticeRoute.ts"
import { Batches, BatchFailed, notBegun, type Progress } from "../files/Batches.ts"
import { DataRevisionUnreadable, loadDataRevision } from "../files/DataModule.ts"
import type { DataWork } from "../files/DataRevision.ts"
import { type Revision, revisionName, type Section } from "../files/Revision.ts"
import type { Step } from "../plan/Plan.ts"
import { outsideTransaction } from "./NonTransactionalStep.ts"
import type { NoticeOf } from "./Notices.ts"
import { onOneLine, ownCode } from "./RevisionFailed.ts"
import { LockLost } from "./SchemaLock.ts"
import { StatementFailed } from "./Script.ts"
import { directionOf, inOneTransaction, isContention, type StepContext, sectionOf } from "./StepContext.ts"

/** Makes the `cause` of the SqlError from the statement that PostgreSQL refused. */
type FailureOf = (statement: string, cause: DatabaseError) => unknown

const connectionOf = (connection: Connection, failureOf: FailureOf, noticed: Noticed): SqlConnection.Connection => {
  const executeRaw = (sql: string, params: ReadonlyArray<unknown>) =>
    // No deadline on our side: only the author's timeouts limit a statement.
    Effect.mapError(
      connection.query(sql, params, { deadline: null, noticed }),
      (cause) => new SqlError({ cause: failureOf(sql, cause), message: cause.message })
    )
  const rows = (sql: string, params: ReadonlyArray<unknown>) => Effect.map(executeRaw(sql, params), ({ rows }) => rows)
  const transformed: SqlConnection.Connection["execute"] = (sql, params, transform) =>
    Effect.map(rows(sql, params), (found) => (transform === undefined ? found : transform([...found])))
  return {
    execute: transformed,
    executeUnprepared: transformed,
    executeRaw,
    executeStream: (sql, params, transform) => Stream.fromIterableEffect(transformed(sql, params, transform)),
    executeValues: (sql, params) => Effect.map(rows(sql, params), (found) => found.map((row) => Object.values(row)))
  }
}

/**
 * An SqlClient over the migrator's one session, so that a data revision works under the lock. With `inTransaction` it works in the
 * transaction that records it, and `sql.withTransaction` is a savepoint.
 *
 * This relies on how @effect/sql counts transactions: depth 0 is a BEGIN, and a connection provided at depth 0 makes the next
 * one a SAVEPOINT.
 */
const pinned = (connection: Connection, failureOf: FailureOf, noticed: Noticed) => {
  const sqlConnection = connectionOf(connection, failureOf, noticed)
  const client = Reactivity.make.pipe(
    Effect.flatMap((reactivity) =>
      SqlClient.make({
        acquirer: Effect.succeed(sqlConnection),
        compiler: PgClient.makeCompiler(),
        spanAttributes: [["db.system.name", "postgresql"]]
      }).pipe(Effect.provideService(Reactivity.Reactivity, reactivity))
    )
  )
  return {
    provide: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.provideServiceEffect(work, SqlClient.SqlClient, client),
    inTransaction: <A, E, R>(work: Effect.Effect<A, E, R>) =>
      Effect.provideService(work, SqlClient.TransactionConnection, [sqlConnection, 0])
  }
}

/** Finds the migrator's own failure below the errors that an author wrapped around it (`cause`); undefined if there is none. */
const migratorFailureIn = (thrown: unknown): StatementFailed | LockLost | DatabaseError | undefined => {
  if (thrown instanceof StatementFailed || thrown instanceof LockLost || thrown instanceof DatabaseError) return thrown
  return typeof thrown === "object" && thrown !== null ? migratorFailureIn(Reflect.get(thrown, "cause")) : undefined
}

/** Fails every batch: a revision in one transaction cannot commit batches one by one. */
const batchesRefused: Batches["Type"] = {
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
const committedBatches = (
  { history, lock, options, service }: StepContext,
  revision: Revision,
  section: Section,
  inTransaction: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
): Batches["Type"] => {
  const lockTimeout = Option.getOrElse(section.lockTimeout, () => options.lockTimeout)
  const failed = (name: string) => (cause: { readonly message: string }) =>
    new BatchFailed({ name, problem: cause.message, cause })
  let nextLine = 0

  const once = <E, R>(name: string, limit: Duration.DurationInput, batch: Effect.Effect<Progress, E, R>) =>
    lock
      .transaction(
        () =>
          Effect.gen(function* () {
            // Marked, so that the author's errors stay as they are and the migrator's become BatchFailed.
            const progress = yield* Effect.mapError(inTransaction(batch), (own) => ({ own }))
            const { explain, requireHeld } = yield* lock.aftermath
            yield* requireHeld
            yield* Effect.mapError(history.saveProgress(revision.number, name, progress), explain)
            return progress
          }),
        { columns: `pg_catalog.set_config('lock_timeout', '${Math.round(Duration.toMillis(lockTimeout))}ms', true)` }
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

  const pauses = Schedule.jitteredWith(Schedule.exponential(options.firstPause), { min: 0.5, max: 1.5 })

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
      once(name, limit, batch).pipe(
        Effect.retry({ while: mayRetry, times: options.attempts - 1, schedule: pauses }),
        Effect.tap(({ batches, done, rows }) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            if (!done && now < nextLine) return Effect.void
            nextLine = now + logInterval
            const state = done ? "done" : "running"
            return Effect.logInfo(
              `${service}: ${revisionName(revision.number, revision.slug)}: ${name} ${state}, ${rows} rows in ${batches} batches`
            )
          })
        )
      )
  }
}

const withReversal = (revision: Revision, irreversible: string | undefined): Revision => ({
  ...revision,
  reversal: irreversible === undefined ? { _tag: "Module" } : { _tag: "Irreversible", reason: irreversible }
})

/** Adds to a data revision what only its module says: why it is irreversible. Returns an SQL revision as it is. */
export const withExportedReversal = (revision: Revision): Effect.Effect<Revision, DataRevisionUnreadable> =>
  revision.kind === "sql"
    ? Effect.succeed(revision)
    : Effect.map(loadDataRevision(revision), ({ irreversible }) => withReversal(revision, irreversible))

const loadWork = (revision: Revision, direction: "up" | "down") =>
  Effect.flatMap(loadDataRevision(revision), ({ down, irreversible, up }) => {
    const work = direction === "up" ? up : down
    return work === undefined
      ? new DataRevisionUnreadable({ service: revision.service, file: revision.file, problem: "it has no `down`" })
      : Effect.succeed({ work, revision: withReversal(revision, irreversible) })
  })

/** Loads the modules of a plan's data revisions, so that a module that cannot be imported fails before anything runs. */
export const loadModules = (steps: ReadonlyArray<Step>): Effect.Effect<void, DataRevisionUnreadable> =>
  Effect.forEach(
    steps,
    (step) => (step.revision?.kind === "ts" ? loadWork(step.revision, directionOf(step)) : Effect.void),
    { discard: true }
  )

/**
 * Runs a data revision's work and turns every failure into one of the migrator's own. The author's errors may have any type, and
 * a defect must not end the process without naming the file.
 */
const withMigratorFailures = (
  work: Effect.Effect<unknown, unknown>,
  failureOf: (statement: string, cause: DatabaseError) => StatementFailed
): Effect.Effect<void, StatementFailed | LockLost> =>
  Effect.catchAllCause(Effect.asVoid(work), (cause) => {
    if (Cause.isInterruptedOnly(cause)) return Effect.interrupt
    const thrown = Cause.squash(cause)
    const failure = migratorFailureIn(thrown)
    if (failure?._tag === "StatementFailed" || failure?._tag === "LockLost") return Effect.fail(failure)
    const reason = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)
    return Effect.fail(
      failureOf(ownCode, failure ?? new DatabaseError({ phase: "statement", reason: onOneLine(reason) }))
    )
  })

/** Loads the module of a data revision's step. The inner effect runs its `up` or `down` and counts as one statement. */
export const dataStep = Effect.fnUntraced(function* (
  context: StepContext,
  step: Step,
  file: Revision,
  noticed: NoticeOf
) {
  const direction = directionOf(step)
  const { revision, work } = yield* loadWork(file, direction)
  const { connection } = context.session
  const section = sectionOf(step)
  const failureOf = (statement: string, cause: DatabaseError) =>
    new StatementFailed({
      location: { file: revision.file, line: section.line, source: "", statement: onOneLine(statement) },
      direction,
      cause
    })
  // The lines of its statements are not known, so a notice has that of the section.
  const client = pinned(connection, failureOf, (notice) => noticed(null, notice))
  const run = (work: DataWork, batches: Batches["Type"]) =>
    withMigratorFailures(client.provide(Effect.provideService(work, Batches, batches)), failureOf)
  // The history row says why the revision is irreversible, which only its module knows.
  const complete: Step = step._tag === "Apply" ? { ...step, revision } : step
  return section.transaction
    ? inOneTransaction(context, complete, 1, ({ send }) =>
        Effect.zipRight(send, run(client.inTransaction(work), batchesRefused))
      )
    : outsideTransaction(
        context,
        complete,
        1,
        run(work, committedBatches(context, revision, section, client.inTransaction))
      )
})
