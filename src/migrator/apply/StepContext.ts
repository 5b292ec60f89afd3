import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import type { ServiceName } from "../../domain/Service.ts"
import { type Connection, connect, type Row } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { ServerNotice } from "../../platform/postgres/ServerNotice.ts"
import { revisionName } from "../files/Revision.ts"
import { type LocatedSection, sectionsOf } from "../files/RevisionCheck.ts"
import {
  gatherRecords,
  type HistoryEntry,
  type MigrationHistory,
  type RevisionRef
} from "../history/MigrationHistory.ts"
import type { MigratorOptionsValues } from "../MigratorOptions.ts"
import type { DataLossRefused } from "../plan/DestructiveChange.ts"
import type { Step } from "../plan/Plan.ts"
import type { PartlyApplied } from "../plan/PlanRefusal.ts"
import { type DowngradeGoal, refuseLossesWithin } from "./LossCheck.ts"
import type { NoticeLog, NoticeOf } from "./Notices.ts"
import { describeSession, type LockLost, type SchemaLock } from "./SchemaLock.ts"
import { runVerify, type Script, type StatementFailed, scriptQueries, timeouts } from "./Script.ts"
import { cleanSession, type MigrationSession } from "./Session.ts"
import { makeStepQueries, type StepQueries } from "./StepQueries.ts"
import { requireUnbegun } from "./UnbegunRevision.ts"

/** What a step needs to run. */
export interface StepContext {
  readonly service: ServiceName
  readonly options: MigratorOptionsValues
  readonly session: MigrationSession
  /** Of the migration connection, for a second session that looks for blockers. */
  readonly url: Redacted.Redacted
  readonly lock: SchemaLock
  readonly history: MigrationHistory
  readonly notices: NoticeLog
  /** The current revision before the step. */
  readonly current: string
  /** The downgrade that the step belongs to; a refusal to destroy rows reports it. */
  readonly downgrade: DowngradeGoal
}

/** Why a step failed while it ran. */
export type StepError = DataLossRefused | StatementFailed | DatabaseError | LockLost | PartlyApplied

export const sectionOf = (step: Step) => (step._tag === "Apply" ? step.revision.up : step.down)

export const refOf = (step: Step): RevisionRef =>
  step._tag === "Apply" ? { revision: step.revision.number, slug: step.revision.slug } : step.entry

export const nameOfStep = (step: Step): string => revisionName(refOf(step).revision, refOf(step).slug)

export const directionOf = (step: Step): "up" | "down" => (step._tag === "Apply" ? "up" : "down")

/** The event that records the step. */
export const eventOf = (step: Step): "applied" | "reverted" => (step._tag === "Apply" ? "applied" : "reverted")

/** The row that an earlier run left half-way. */
export const halfwayOfStep = (step: Step): HistoryEntry | undefined =>
  step._tag === "Apply" ? step.halfway : step.entry.state === "reverting" ? step.entry : undefined

/** Where the step's text is: its file, or the column that keeps the down script. */
export const sourceOf = (step: Step, service: string): string =>
  (step._tag === "Apply" ? step.revision.file : step.file) ?? `${service}.schema_history.down_script`

/** The sections that must be readable before a plan runs: the one that the step runs, and of a new revision its way back too. */
export const sectionsOfStep = (step: Step): ReadonlyArray<LocatedSection> => {
  if (step._tag === "Apply") return sectionsOf(step.revision)
  const { down, entry, file = "schema_history.down_script" } = step
  return entry.kind === "ts" ? [] : [{ file, section: down, isApplied: true }]
}

type WorkError = StatementFailed | LockLost | DatabaseError

/** Adds a step's statements, or sends what was added and runs them. */
type Work = (queries: StepQueries<WorkError>) => Effect.Effect<void, WorkError>

/**
 * Runs a step in one transaction; the step's history row and its event commit with it. What `work` adds takes one round trip with
 * the begin, the row and the event. COMMIT does not: a program that is killed while a statement runs must not commit it afterwards.
 */
export const inOneTransaction = (
  { downgrade, lock, options, service, session: { connection } }: StepContext,
  step: Step,
  statements: number,
  work: Work,
  noticed?: NoticeOf
): Effect.Effect<void, StepError> => {
  // The work of a data revision cannot be read; its downgrade was refused before, or is allowed.
  const guarded = step._tag === "Revert" && step.entry.kind === "sql" && !options.allowDataLoss
  const columns = timeouts(sectionOf(step), options.lockTimeout)
  const body = Effect.gen(function* () {
    const queries = makeStepQueries<WorkError>(connection, cleanSession)
    // The isolation that refuseLossesWithin needs, whatever the role's default is.
    queries.add(lock.begin(guarded ? { columns, isolation: "read committed" } : { columns }))
    if (guarded) yield* Effect.zipRight(queries.send, refuseLossesWithin(connection, step, downgrade))
    if (step._tag === "Apply" && step.halfway !== undefined) {
      yield* Effect.zipRight(queries.send, requireUnbegun(connection, service, step.revision, step.halfway))
    }
    yield* work(queries)
    const records = gatherRecords(service, options)
    // The row of a revision that failed before its first statement, when its file still asked for no transaction.
    if (step._tag === "Revert" || step.halfway !== undefined) yield* records.remove(refOf(step).revision)
    if (step._tag === "Apply") yield* records.insert(step.revision, "applied", statements, null)
    yield* records.event(eventOf(step), refOf(step), null)
    queries.add(lock.record(records.queries))
    yield* queries.send
  })
  const ofCommit = noticed === undefined ? {} : { noticed: (notice: ServerNotice) => noticed(null, notice) }
  return connection.transaction(body, { begun: true, ...ofCommit })
}

/** Runs an SQL revision in one transaction: its statements, then its assertions. */
export const transactionalStep = (
  context: StepContext,
  step: Step,
  script: Script,
  verify: Script | undefined
): Effect.Effect<void, StepError> => {
  const work: Work = (queries) =>
    Effect.gen(function* () {
      queries.add(yield* scriptQueries(script))
      if (verify !== undefined) yield* Effect.zipRight(queries.send, runVerify(context.session.connection, verify))
    })
  return inOneTransaction(context, step, script.statements.length, work, script.noticed)
}

/** True for 55P03 (lock_timeout passed) and 40P01 (deadlock): a retry after a pause may succeed. */
export const isContention = ({ sqlstate }: Pick<DatabaseError, "sqlstate">): boolean =>
  sqlstate === "55P03" || sqlstate === "40P01"

/** The pause after failed attempt `attempt` (from 1): `firstPause`, doubled with each attempt, times 0.5 to 1.5. */
export const pauseAfter = (attempt: number, { firstPause }: MigratorOptionsValues): Effect.Effect<Duration.Duration> =>
  Effect.map(Random.nextRange(0.5, 1.5), (jitter) => Duration.times(firstPause, 2 ** (attempt - 1) * jitter))

/** The sessions that block a session, and the prepared transactions, which have no process: the server names them by pid 0. */
const blockersQuery = `select a.pid, a.application_name, a.backend_start as since, null as gid, null as owner
  from unnest(pg_catalog.pg_blocking_pids($1)) as blocking (pid)
  join pg_catalog.pg_stat_activity a on a.pid = blocking.pid
  union all
  select distinct null::int, null, x.prepared, x.gid, x.owner
  from pg_catalog.pg_locks waiting
  join pg_catalog.pg_locks held on held.granted and held.pid is null and held.locktype = waiting.locktype
    and (held.database, held.relation, held.page, held.tuple, held.virtualxid, held.transactionid, held.classid, held.objid, held.objsubid)
      is not distinct from (waiting.database, waiting.relation, waiting.page, waiting.tuple, waiting.virtualxid,
        waiting.transactionid, waiting.classid, waiting.objid, waiting.objsubid)
  join pg_catalog.pg_locks own on own.pid is null and own.locktype = 'transactionid'
    and own.virtualtransaction = held.virtualtransaction
  join pg_catalog.pg_prepared_xacts x on x.transaction = own.transactionid
  where waiting.pid = $1 and not waiting.granted and 0 = any (pg_catalog.pg_blocking_pids($1))`

/** Describes a row of `blockersQuery` in one phrase. A prepared transaction is ended by its name, in its database. */
const describeBlocker = (row: Row): string => {
  if (row["gid"] === null) return describeSession(row)
  const since = row["since"] instanceof Date ? row["since"].toISOString() : "?"
  const gid = String(row["gid"])
  return (
    `prepared transaction ${JSON.stringify(gid)} (of ${row["owner"]}, since ${since}; to end it: ` +
    `commit prepared '${gid.replaceAll("'", "''")}', or rollback prepared)`
  )
}

/**
 * Runs `effect` and, every `after`, asks from a second session which sessions block the step's own. The server forgets them
 * once the lock timeout has passed, so that session is opened at once. `seen` keeps the last answer; a failure to ask is ignored.
 */
export const withBlockersWatched = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  { session, url }: StepContext,
  after: Duration.Duration,
  seen: Ref.Ref<ReadonlyArray<string>>
): Effect.Effect<A, E, R> => {
  const ask = (connection: Connection) =>
    Effect.flatMap(connection.query(blockersQuery, [session.connection.backendPid]), ({ rows }) =>
      rows.length === 0 ? Effect.void : Ref.set(seen, rows.map(describeBlocker))
    )
  const watch = connect({ url, applicationName: "gravitas migrate (looks who blocks)" }).pipe(
    Effect.flatMap((connection) => Effect.forever(Effect.zipLeft(ask(connection), Effect.sleep(after)))),
    Effect.scoped,
    Effect.ignore,
    Effect.zipLeft(Effect.sleep(after)),
    Effect.forever
  )
  return Effect.scoped(Effect.zipRight(Effect.forkScoped(watch), effect))
}
