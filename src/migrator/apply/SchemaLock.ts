import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import type { Connection, QueryResult, Row } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { SentQuery } from "../../platform/postgres/Pipeline.ts"
import type { RevisionSet } from "../files/RevisionSet.ts"
import type { HistoryEntry, HistorySnapshot, MigrationHistory } from "../history/MigrationHistory.ts"
import { MigratorOptions, toolVersion } from "../MigratorOptions.ts"
import type { MigrationSession } from "./Session.ts"
import { aftermathColumns, aftermathOf, type StepAftermath } from "./StepAftermath.ts"
import { makeStepQueries, type QueryGroup } from "./StepQueries.ts"
import { type SchemaNotEmpty, unadopted } from "./UnadoptedSchema.ts"

/** Another process held the migration lock for longer than `lockWait`. */
export class LockNotAcquired extends Schema.TaggedError<LockNotAcquired>()("LockNotAcquired", {
  service: ServiceName,
  waited: Schema.String,
  holder: Schema.String
}) {
  readonly exitCode = ExitCode.lockNotAcquired
  override get message(): string {
    return (
      `${this.service}: the migration lock is held by ${this.holder}; gave up after ${this.waited}. ` +
      `Wait for it and start again. If it hangs: pnpm migrate --service ${this.service} unlock shows its session, and ` +
      "unlock --pid <pid> ends it"
    )
  }
}

/** The lock was acquired, but this session's backend does not hold it now. */
export class LockLost extends Schema.TaggedError<LockLost>()("LockLost", {
  service: ServiceName,
  /** True if this is still the session that acquired the lock, so that a statement of a revision released it. */
  released: Schema.optional(Schema.Boolean)
}) {
  readonly exitCode = ExitCode.lockNotAcquired
  override get message(): string {
    const cause =
      this.released === true
        ? "A statement of the revision released it (pg_advisory_unlock_all, discard all): remove that"
        : `A pooler in transaction mode causes this: point ${this.service.toUpperCase()}_MIGRATION_DATABASE_URL at PostgreSQL itself`
    return `${this.service}: this session no longer holds the migration lock that it acquired; nothing more was run. ${cause}`
  }
}

/** How a transaction under the lock begins. */
interface FencedBegin {
  /** Absent: the default of the role. */
  readonly isolation?: "read committed"
  /** Columns that are selected beside the fence, such as settings. */
  readonly columns?: string
}

/** A held migration lock. */
export interface SchemaLock {
  /** Fails unless this backend holds the lock now. */
  readonly fence: Effect.Effect<void, LockLost | DatabaseError>
  /** BEGIN and the fence. A fence that does not hold fails in the server, so that nothing behind it in a pipeline runs. */
  readonly begin: (options: FencedBegin) => QueryGroup<LockLost | DatabaseError>
  /** Asks in which state the statements of a step left the session. */
  readonly aftermath: Effect.Effect<StepAftermath, LockLost | DatabaseError>
  /** Asks the same, then writes the step's record. Fails unless this backend still holds the lock. */
  readonly record: (queries: ReadonlyArray<SentQuery>) => QueryGroup<LockLost | DatabaseError>
  /** Runs `body` in a transaction that begins with the fence. */
  readonly transaction: <A, E, R>(
    body: () => Effect.Effect<A, E, R>,
    options?: FencedBegin
  ) => Effect.Effect<A, E | LockLost | DatabaseError, R>
}

/** The key of a service's migration lock, as SQL. */
export const lockKey = (service: ServiceName): string =>
  `pg_catalog.hashtextextended('migrate:${service}:${service}', 0)`

/** Matches the key of 64 bits in `pg_locks`, which shows its two halves and objsubid 1. */
const isKey = (service: ServiceName): string =>
  `l.locktype = 'advisory' and l.objsubid = 1 and l.granted and ((l.classid::bigint << 32) | l.objid::bigint) = ${lockKey(service)}`

/** The same in this database: another database has keys of its own. */
export const isKeyOf = (service: ServiceName): string =>
  `${isKey(service)} and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())`

/** Describes a session of `pg_stat_activity` in one phrase, without its start if the role may not see that. */
export const describeSession = (row: Row): string => {
  const since = row["since"] instanceof Date ? `, since ${row["since"].toISOString()}` : ""
  const name = String(row["application_name"] ?? "").trim()
  return `${name === "" ? "a session" : `"${name}"`} (pid ${row["pid"]}${since})`
}

const holderOf = (connection: Connection, service: ServiceName) =>
  Effect.map(
    connection.query(
      `select l.pid, a.application_name, a.backend_start as since from pg_catalog.pg_locks l
       left join pg_catalog.pg_stat_activity a on a.pid = l.pid where ${isKeyOf(service)}`
    ),
    ({ rows: [row] }) => (row === undefined ? "a session that just ended" : describeSession(row))
  )

/** 42704, no such setting: the error of a fence that does not hold. Its message has the name, which says which backend answered. */
const notHeld = "42704"
const lostBy = "gravitas.migration_lock_lost_by_"

const makeLock = (connection: Connection, service: ServiceName, role: string): SchemaLock => {
  // A backend holds locks of its own database only.
  const held = `exists (select from pg_catalog.pg_locks l where l.pid = pg_catalog.pg_backend_pid() and ${isKey(service)})`
  const state = `select ${held} as held, ${aftermathColumns(service)}`
  const fence = `case when ${held} then '' else pg_catalog.current_setting('${lostBy}' || pg_catalog.pg_backend_pid()) end`
  // A translated message has other quotation marks.
  const lostByThis = new RegExp(`${lostBy}${connection.backendPid}(?!\\d)`)
  const aftermathIn = (answer: QueryResult | undefined): Effect.Effect<StepAftermath, LockLost> => {
    const row = answer?.rows[0]
    // Another backend answers: that is the pooler's doing.
    return row?.["pid"] === connection.backendPid
      ? Effect.succeed(aftermathOf(service, role, row))
      : new LockLost({ service })
  }
  const begin: SchemaLock["begin"] = ({ columns, isolation }) => ({
    queries: [
      { text: isolation === undefined ? "begin" : `begin isolation level ${isolation}` },
      { text: `select ${columns === undefined ? "" : `${columns}, `}${fence} as fence` }
    ],
    failed: ({ cause, index }) =>
      index === 1 && cause.sqlstate === notHeld
        ? new LockLost({ service, released: lostByThis.test(cause.reason) })
        : Effect.fail(cause)
  })
  return {
    fence: connection
      .query(state)
      .pipe(
        Effect.flatMap(({ rows: [row] }) =>
          row?.["held"] === true
            ? Effect.void
            : new LockLost({ service, released: row?.["pid"] === connection.backendPid })
        )
      ),
    begin,
    aftermath: Effect.flatMap(connection.query(state), aftermathIn),
    record: (records) => ({
      queries: [{ text: state }, ...records],
      read: ([answer]) => Effect.flatMap(aftermathIn(answer), ({ requireHeld }) => requireHeld),
      failed: ({ answers: [answer], cause }) =>
        answer === undefined
          ? Effect.fail(cause)
          : Effect.flatMap(aftermathIn(answer), ({ explain, requireHeld }) =>
              Effect.zipRight(requireHeld, Effect.fail(explain(cause)))
            )
    }),
    transaction: (body, options = {}) => {
      const fenced = Effect.suspend(() => {
        const queries = makeStepQueries<LockLost | DatabaseError>(connection)
        queries.add(begin(options))
        return queries.send
      })
      return connection.transaction(Effect.zipRight(fenced, Effect.suspend(body)), { begun: true })
    }
  }
}

/** Milliseconds between two attempts to take the lock; doubles up to `longestPause`. */
const firstPause = 25
const longestPause = 1_000
/** Milliseconds between two lines of the log while waiting. */
const logInterval = 5_000

/**
 * Acquires the lock of the service's schema for this session, until the scope closes. Fails with LockNotAcquired after `wait`.
 *
 * It polls instead of waiting in the server. A session that waits there holds a snapshot, and `create index concurrently` of
 * the holder would wait for that snapshot for ever.
 */
export const acquire = Effect.fnUntraced(function* (
  connection: Connection,
  service: ServiceName,
  wait: Duration.Duration
) {
  const begun = yield* Clock.currentTimeMillis
  const limit = Duration.toMillis(wait)
  let nextLine = 0
  let pause = firstPause
  let role = ""
  const take = Effect.acquireRelease(
    connection
      .query(`select pg_catalog.pg_try_advisory_lock(${lockKey(service)}) as taken, current_user::text as role`)
      .pipe(
        Effect.map(({ rows: [row] }) => {
          role = String(row?.["role"])
          return row?.["taken"] === true
        })
      ),
    (taken) =>
      taken && connection.isOpen()
        ? connection
            .query(`select pg_catalog.pg_advisory_unlock(${lockKey(service)})`, undefined, { deadline: "2 seconds" })
            .pipe(Effect.ignore)
        : Effect.void
  )
  while (!(yield* take)) {
    const waited = (yield* Clock.currentTimeMillis) - begun
    if (waited >= limit) {
      const holder = yield* holderOf(connection, service)
      return yield* new LockNotAcquired({ service, waited: Duration.format(wait), holder })
    }
    if (waited >= nextLine) {
      const holder = yield* holderOf(connection, service)
      yield* Effect.logInfo(`${service}: waiting for the migration lock, held by ${holder}`)
      nextLine = waited + logInterval
    }
    const jitter = yield* Random.nextRange(0.5, 1.5)
    yield* Effect.sleep(Duration.millis(Math.min(pause * jitter, Math.max(limit - waited, 1))))
    pause = Math.min(pause * 2, longestPause)
  }
  return makeLock(connection, service, role)
})

/** A newer program created the history tables. */
export class HistoryFormatUnknown extends Schema.TaggedError<HistoryFormatUnknown>()("HistoryFormatUnknown", {
  service: ServiceName,
  format: Schema.Number
}) {
  readonly exitCode = ExitCode.databaseAhead
  override get message(): string {
    return (
      `${this.service}: the history tables have format ${this.format}; this program knows formats up to ${toolVersion}; ` +
      "nothing was run. Run the newer version"
    )
  }
}

/** The rows of the history, empty if it has no tables; fails if a newer program wrote them. */
export const knownEntries = (
  service: ServiceName,
  snapshot: Option.Option<HistorySnapshot>
): Effect.Effect<ReadonlyArray<HistoryEntry>, HistoryFormatUnknown> =>
  Option.match(snapshot, {
    onNone: () => Effect.succeed([]),
    onSome: ({ entries, format }) =>
      format > toolVersion ? new HistoryFormatUnknown({ service, format }) : Effect.succeed(entries)
  })

interface SchemaAccess {
  readonly set: RevisionSet
  readonly session: MigrationSession
  readonly history: MigrationHistory
}

/** Creates the schema and its history tables, in a transaction. Under the lock, since two starters could do it at the same time. */
const createTables = Effect.fnUntraced(function* (access: SchemaAccess, adopt: boolean) {
  const { history, session, set } = access
  const { service } = set
  const { rows } = yield* session.connection.query(`select from pg_catalog.pg_namespace where nspname = '${service}'`)
  // `create schema if not exists` needs the privilege to create one even if the schema exists.
  if (rows.length === 0) yield* session.connection.query(`create schema ${service}`)
  const found = adopt ? null : yield* unadopted(session, service)
  if (found !== null) return yield* found
  yield* history.bringToFormat(0)
})

/**
 * Takes the lock of a service's schema until the scope closes, then reads its history again: what was read before the lock may be
 * stale. Creates the history tables or brings them to this program's format, which changes no entry.
 *
 * With `adopt` (for `stamp`) tables without a history are accepted instead of refused, and nothing is created yet: the caller runs
 * `prepare` in its own transaction, so that a refusal leaves no history behind.
 */
export const lockSchema = Effect.fn("Migrator.takeSchema")(function* <A extends SchemaAccess>(
  access: A,
  adopt = false
) {
  const { history, session } = access
  const { service } = access.set
  const { lockWait } = yield* MigratorOptions
  const lock = yield* acquire(session.connection, service, lockWait).pipe(
    Effect.catchTag("DatabaseError", session.refuse("taking the migration lock"))
  )
  const snapshot = yield* history.read.pipe(Effect.mapError(session.refuse("reading the migration history")))
  const entries = yield* knownEntries(service, snapshot)
  const isPrepared = Option.exists(snapshot, ({ format }) => format === toolVersion)
  const creation: Effect.Effect<void, SchemaNotEmpty | DatabaseError> = Option.match(snapshot, {
    onNone: () => createTables(access, adopt),
    onSome: ({ format }) => history.bringToFormat(format)
  })
  const prepare = isPrepared ? Effect.void : creation
  const locked = { ...access, service, lock, entries }
  if (isPrepared || adopt) return { ...locked, prepare }
  yield* lock
    .transaction(() => prepare)
    .pipe(Effect.catchTag("DatabaseError", session.refuse("making the schema and its history tables")))
  return { ...locked, prepare: Effect.void }
})
