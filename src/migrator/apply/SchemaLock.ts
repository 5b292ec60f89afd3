import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import type { Connection, Row } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"

/** Another process held the migration lock for longer than `lockWait`. */
export class LockNotAcquired extends Schema.TaggedError<LockNotAcquired>()("LockNotAcquired", {
  service: ServiceName,
  waited: Schema.String,
  holder: Schema.String
}) {
  get exitCode() {
    return ExitCode.lockNotAcquired
  }
  override get message(): string {
    return (
      `${this.service}: the migration lock is held by ${this.holder}; gave up after ${this.waited}. ` +
      `Wait for it and start again. If it hangs: pnpm migrate --service ${this.service} unlock shows its session, and ` +
      "unlock --pid <pid> ends it"
    )
  }
}

/** The lock was acquired, but this session's backend does not hold it now. */
export class LockLost extends Schema.TaggedError<LockLost>()("LockLost", { service: ServiceName }) {
  get exitCode() {
    return ExitCode.lockNotAcquired
  }
  override get message(): string {
    return (
      `${this.service}: this session no longer holds the migration lock that it acquired; nothing more was run. ` +
      `A pooler in transaction mode causes this: point ${this.service.toUpperCase()}_MIGRATION_DATABASE_URL at PostgreSQL itself`
    )
  }
}

/** A held migration lock. */
export interface SchemaLock {
  /** Fails unless this backend holds the lock now. Every transaction runs it first. */
  readonly fence: Effect.Effect<void, LockLost | DatabaseError>
}

const key = "hashtextextended('migrate:' || $1 || ':' || $1, 0)"

/** Matches the key of 64 bits in `pg_locks`, which shows its two halves and objsubid 1. */
export const isKey =
  `l.locktype = 'advisory' and l.objsubid = 1 and ((l.classid::bigint << 32) | l.objid::bigint) = ${key} ` +
  "and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database()) and l.granted"

/** Describes a session of `pg_stat_activity` in one phrase, without its start if the role may not see that. */
export const describeSession = (row: Row): string => {
  const since = row["since"] instanceof Date ? `, since ${row["since"].toISOString()}` : ""
  const name = String(row["application_name"] ?? "").trim()
  return `${name === "" ? "a session" : `"${name}"`} (pid ${row["pid"]}${since})`
}

const holderOf = (connection: Connection, service: ServiceName) =>
  connection
    .query(
      `select l.pid, a.application_name, a.backend_start as since from pg_catalog.pg_locks l
       left join pg_catalog.pg_stat_activity a on a.pid = l.pid where ${isKey}`,
      [service]
    )
    .pipe(Effect.map(({ rows: [row] }) => (row === undefined ? "a session that just ended" : describeSession(row))))

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
export const acquire = (
  connection: Connection,
  service: ServiceName,
  wait: Duration.Duration
): Effect.Effect<SchemaLock, LockNotAcquired | DatabaseError, Scope.Scope> =>
  Effect.gen(function* () {
    const begun = yield* Clock.currentTimeMillis
    const limit = Duration.toMillis(wait)
    let nextLine = 0
    let pause = firstPause
    const take = Effect.acquireRelease(
      connection
        .query(`select pg_catalog.pg_try_advisory_lock(${key}) as taken`, [service])
        .pipe(Effect.map(({ rows }) => rows[0]?.["taken"] === true)),
      (taken) =>
        taken && connection.isOpen()
          ? connection
              .query(`select pg_catalog.pg_advisory_unlock(${key})`, [service], { deadline: "2 seconds" })
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
    return {
      fence: connection
        .query(
          `select exists (select from pg_catalog.pg_locks l where l.pid = pg_catalog.pg_backend_pid() and ${isKey}) as held`,
          [service]
        )
        .pipe(Effect.flatMap(({ rows }) => (rows[0]?.["held"] === true ? Effect.void : new LockLost({ service }))))
    }
  })
