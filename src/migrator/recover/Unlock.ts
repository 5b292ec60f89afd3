import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import type { Row } from "../../platform/postgres/Connection.ts"
import { isKeyOf } from "../apply/SchemaLock.ts"
import { openSession } from "../apply/Session.ts"
import type { MigratedService } from "../files/RevisionSet.ts"
import { makeMigrationHistory } from "../history/MigrationHistory.ts"
import { MigratorOptions } from "../MigratorOptions.ts"

/** The session does not hold the lock, or this role may not end it. */
export class UnlockRefused extends Schema.TaggedError<UnlockRefused>()("UnlockRefused", {
  service: ServiceName,
  problem: Schema.String,
  exitCode: Schema.Number
}) {
  override get message(): string {
    return `${this.service}: ${this.problem}. To see who holds the lock: pnpm migrate --service ${this.service} unlock`
  }
}

const text = (value: unknown): string | null =>
  value instanceof Date ? value.toISOString() : typeof value === "string" && value !== "" ? value : null

/** Describes the session that holds a schema's migration lock. What this role may not see of it is null. */
const holderOf = (row: Row) => ({
  pid: Number(row["pid"]),
  applicationName: text(row["application_name"]),
  user: text(row["usename"]),
  /** When the session began. */
  since: text(row["backend_start"]),
  state: text(row["state"]),
  /** When its present or last statement began. The statement may contain secrets and is not shown. */
  queryStart: text(row["query_start"])
})

/**
 * Reports which session holds the lock. With `pid` it ends that session, if it is the holder. Its transaction rolls back, and the
 * next run finds what it did outside one. The event log records who ended it.
 */
export const unlock = Effect.fn("Migrator.unlock")(function* (
  { name: service }: MigratedService,
  pid: Option.Option<number>
) {
  const session = yield* openSession(service)
  const { connection } = session
  const readHolder = connection
    .query(
      `select l.pid, a.application_name, a.usename, a.backend_start, a.state, a.query_start from pg_catalog.pg_locks l
       left join pg_catalog.pg_stat_activity a on a.pid = l.pid where ${isKeyOf(service)}`
    )
    .pipe(
      Effect.map(({ rows: [row] }) => (row === undefined ? null : holderOf(row))),
      Effect.mapError(session.refuse("reading who holds the lock"))
    )
  const holder = yield* readHolder
  const state = (ended: boolean) => ({ service, holder, ended })
  if (Option.isNone(pid)) return state(false)
  const refused = (problem: string, exitCode: number = ExitCode.refused) =>
    new UnlockRefused({ service, problem, exitCode })
  if (holder?.pid !== pid.value) {
    const who = holder === null ? "it is free" : `pid ${holder.pid} does`
    return yield* refused(`pid ${pid.value} does not hold the migration lock (${who}); nothing was ended`)
  }
  // Checked again in the same statement: the pid may belong to another session by now.
  yield* connection
    .query(
      `select pg_catalog.pg_terminate_backend(l.pid) from pg_catalog.pg_locks l where l.pid = $1 and ${isKeyOf(service)}`,
      [pid.value]
    )
    .pipe(
      Effect.mapError((cause) =>
        cause.sqlstate === "42501"
          ? refused(
              `this role may not end pid ${pid.value}, which is ${holder.user ?? "another role"}'s (as an administrator: ` +
                "grant pg_signal_backend to <role>)",
              ExitCode.noAccess
            )
          : session.refuse("ending the holder of the lock")(cause)
      )
    )
  let left = 100
  while ((yield* readHolder)?.pid === pid.value) {
    if (left-- === 0) return yield* refused(`pid ${pid.value} was asked to end but has not ended within 5 s`)
    yield* Effect.sleep("50 millis")
  }
  const history = makeMigrationHistory(service, connection, yield* MigratorOptions)
  yield* history
    .event("unlocked", null, `ended pid ${pid.value}`, holder)
    .pipe(Effect.catchAll((cause) => Effect.logDebug(`unlock was not recorded in schema_event: ${cause.message}`)))
  return state(true)
}, Effect.scoped)

/** The holder of a lock, and whether the command ended its session. */
export type LockState = Effect.Effect.Success<ReturnType<typeof unlock>>
