import { hostname } from "node:os"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { Settings } from "../../platform/config/Settings.ts"
import { type Connection, type ConnectOptions, connect } from "../../platform/postgres/Connection.ts"
import { Database, displayAddress, waitUntilReachable } from "../../platform/postgres/Database.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"

/** The server refused a statement of the migrator's own, or the connection broke during it. No revision failed. */
export class DatabaseRefusal extends Schema.TaggedError<DatabaseRefusal>()("DatabaseRefusal", {
  service: ServiceName,
  address: Schema.String,
  /** Completes "failed while …". */
  during: Schema.String,
  cause: DatabaseError,
  /** The next command to type. */
  remedy: Schema.String
}) {
  get exitCode() {
    const { sqlstate } = this.cause
    const noAccess = sqlstate === undefined || /^(42501|08|28|3D|57P|25006)/.test(sqlstate)
    return noAccess ? ExitCode.noAccess : ExitCode.failed
  }
  override get message(): string {
    return `${this.service}: ${this.address} failed while ${this.during}: ${this.cause.message}. ${this.remedy}`
  }
}

/** Makes the refusal for an error of the server; by default the remedy is to look at the server. */
export const databaseRefusal =
  (
    service: ServiceName,
    address: string,
    during: string,
    remedy = `Check PostgreSQL there, then: pnpm migrate --service ${service} status`
  ) =>
  (cause: DatabaseError): DatabaseRefusal =>
    new DatabaseRefusal({ service, address, during, cause, remedy })

/** The server is a replica: it can be read, not migrated. */
export class DatabaseIsReplica extends Schema.TaggedError<DatabaseIsReplica>()("DatabaseIsReplica", {
  service: ServiceName,
  address: Schema.String
}) {
  readonly exitCode = ExitCode.noAccess
  override get message(): string {
    return (
      `${this.service}: ${this.address} is a replica (in recovery), which cannot be migrated. ` +
      `Point ${this.service.toUpperCase()}_MIGRATION_DATABASE_URL at the primary`
    )
  }
}

/** Statements of one connection run in several sessions of the server, so it would keep neither a lock nor a setting. */
export class SessionShared extends Schema.TaggedError<SessionShared>()("SessionShared", {
  service: ServiceName,
  /** Without password. */
  address: Schema.String
}) {
  readonly exitCode = ExitCode.lockNotAcquired
  override get message(): string {
    return (
      `${this.service}: ${this.address} is a pooler, not PostgreSQL itself, and may not keep one session for the migration lock; ` +
      "nothing was run, set or locked. In transaction mode a pooler would lose the lock: point " +
      `${this.service.toUpperCase()}_MIGRATION_DATABASE_URL at PostgreSQL itself`
    )
  }
}

/** The one PostgreSQL session of a run. */
export interface MigrationSession {
  readonly connection: Connection
  /** Without password. */
  readonly address: string
  /** The server's major version, such as 18. */
  readonly serverVersion: number
  /** Restores the state in which every revision starts: settings of earlier ones are gone, the lock stays. */
  readonly reset: Effect.Effect<void, DatabaseError>
  /** Turns an error into a refusal that says what was being done (`during` completes "failed while …"). */
  readonly refuse: (during: string) => (cause: DatabaseError) => DatabaseRefusal
}

const setting = (name: string, value: string): string => `pg_catalog.set_config('${name}', '${value}', false)`

const exists = (name: string): string => `pg_catalog.current_setting('${name}', true) is not null`

/** Settings that every supported server has. */
const cleanSettings = {
  standard_conforming_strings: "on",
  search_path: "",
  lock_timeout: "0",
  statement_timeout: "0",
  idle_in_transaction_session_timeout: "0",
  idle_session_timeout: "0"
}

/**
 * An empty search_path makes every unqualified name an error instead of a guess. `discard all` would release the lock.
 * Timeouts that the role or the database set are not meant for migrations; each transaction sets its own. PostgreSQL before 17
 * does not have `transaction_timeout`. The parser that splits a file reads texts as `standard_conforming_strings` says. Statements are
 * sent ahead, so a server on Linux looks every 2 s whether its client still lives; other systems refuse that setting.
 */
export const cleanSession =
  "reset session authorization; reset all; deallocate all; close all; unlisten *; discard temp; discard sequences; " +
  `select ${Object.entries(cleanSettings)
    .map(([name, value]) => setting(name, value))
    .join(", ")}, ` +
  `case when ${exists("transaction_timeout")} then ${setting("transaction_timeout", "0")} end, ` +
  `case when pg_catalog.version() ~ 'linux' and ${exists("client_connection_check_interval")} ` +
  `then ${setting("client_connection_check_interval", "2s")} end`

const notOwner = (service: ServiceName): string =>
  `Migrations of ${service} need a role that owns the schema ${service}, or may create it (as its administrator: ` +
  "grant create on database <database> to <role>)"

/** Connects; if that fails, waits until the server is reachable, at most DATABASE_CONNECT_DEADLINE, and tries again. */
export const connectPatiently = (options: ConnectOptions) =>
  Effect.catchAll(connect(options), () =>
    Effect.flatMap(Settings, ({ databaseConnectDeadline }) =>
      Effect.zipRight(waitUntilReachable(options.url, databaseConnectDeadline), connect(options))
    )
  )

/** Opens the session of a run on the service's migration connection; retries until DATABASE_CONNECT_DEADLINE. */
export const openSession = Effect.fn("Migrator.openSession")(function* (service: ServiceName) {
  const url = (yield* Database).url(service, "migration")
  const address = displayAddress(url)
  const refuse = (during: string) => (cause: DatabaseError) =>
    databaseRefusal(service, address, during, cause.sqlstate === "42501" ? notOwner(service) : undefined)(cause)
  const applicationName = Buffer.from(`gravitas migrate ${service} ${process.pid}@${hostname()}`)
    .subarray(0, 63)
    .toString("latin1")
  const connection = yield* connectPatiently({ url, applicationName, pipelined: true }).pipe(
    Effect.catchTag("DatabaseError", refuse("connecting"))
  )
  // Before anything is set: a setting or a lock would stay in a session that other clients share.
  for (let time = 1; time <= 2; time++) {
    const { rows } = yield* Effect.mapError(
      connection.query("select pg_catalog.pg_backend_pid() as pid"),
      refuse("reading the session's process id")
    )
    if (rows[0]?.["pid"] !== connection.backendPid) return yield* new SessionShared({ service, address })
  }
  const reset = Effect.asVoid(connection.query(cleanSession))
  yield* Effect.mapError(reset, refuse("setting the session up"))
  const { rows } = yield* Effect.mapError(
    connection.query(
      "select pg_catalog.pg_is_in_recovery() as replica, pg_catalog.current_setting('server_version_num')::int / 10000 as version"
    ),
    refuse("checking whether it is a replica")
  )
  if (rows[0]?.["replica"] === true) return yield* new DatabaseIsReplica({ service, address })
  const serverVersion = Number(rows[0]?.["version"])
  return { connection, address, serverVersion, reset, refuse } satisfies MigrationSession
})
