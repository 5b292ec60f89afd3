import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { HistoryEntry, HistorySnapshot, MigrationHistory } from "../history/MigrationHistory.ts"
import { MigratorOptions, toolVersion } from "../MigratorOptions.ts"
import { acquire, type LockLost, type SchemaLock } from "./SchemaLock.ts"
import type { MigrationSession } from "./Session.ts"

/** The schema holds tables but no migration history: another program's tables, or a database older than the migrator. */
export class SchemaNotEmpty extends Schema.TaggedError<SchemaNotEmpty>()("SchemaNotEmpty", {
  service: ServiceName,
  address: Schema.String,
  relations: Schema.Array(Schema.String)
}) {
  get exitCode() {
    return ExitCode.refused
  }
  override get message(): string {
    const { service } = this
    return (
      `${service}: the schema ${service} of ${this.address} has no migration history, but is not empty ` +
      `(${this.relations.join(", ")}); nothing was run. If these are its tables, adopt them as they are: ` +
      `pnpm migrate --service ${service} stamp <the revision that they are at> --reason "<why>"; ` +
      `if they may go: drop schema ${service} cascade; then: pnpm migrate --service ${service} upgrade`
    )
  }
}

/** A newer program created the history tables. */
export class HistoryFormatUnknown extends Schema.TaggedError<HistoryFormatUnknown>()("HistoryFormatUnknown", {
  service: ServiceName,
  format: Schema.Number
}) {
  get exitCode() {
    return ExitCode.databaseAhead
  }
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

const relations = (service: ServiceName) =>
  `select c.relname as name from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where n.nspname = '${service}' and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') order by 1 limit 10`

export interface SchemaPreparation {
  readonly service: ServiceName
  readonly session: MigrationSession
  readonly history: MigrationHistory
  /** Whether tables without a history are adopted (`stamp`) instead of refused. */
  readonly adopt: boolean
}

/** Creates the schema and its history tables in one transaction. Under the lock, since two starters could do it at the same time. */
const createTables = ({ adopt, history, service, session }: SchemaPreparation, lock: SchemaLock) =>
  session.connection.transaction(
    Effect.gen(function* () {
      yield* lock.fence
      const { rows } = yield* session.connection.query(
        `select from pg_catalog.pg_namespace where nspname = '${service}'`
      )
      // `create schema if not exists` needs the privilege to create one even if the schema exists.
      if (rows.length === 0) yield* session.connection.query(`create schema ${service}`)
      const found = yield* session.connection.query(relations(service))
      if (found.rows.length > 0 && !adopt) {
        const names = found.rows.map((row) => String(row["name"]))
        return yield* new SchemaNotEmpty({ service, address: session.address, relations: names })
      }
      yield* history.bringToFormat(0)
    })
  )

/**
 * Takes the lock of a service's schema until the scope closes, then reads its history again: what was read before the lock may be
 * stale. Creates the history tables or brings them to this program's format, which changes no entry.
 */
export const lockSchema = Effect.fn("Migrator.takeSchema")(function* (preparation: SchemaPreparation) {
  const { history, service, session } = preparation
  const { lockWait } = yield* MigratorOptions
  const lock = yield* acquire(session.connection, service, lockWait).pipe(
    Effect.catchTag("DatabaseError", (cause) => session.refuse("taking the migration lock")(cause))
  )
  const snapshot = yield* history.read.pipe(Effect.mapError(session.refuse("reading the migration history")))
  const entries = yield* knownEntries(service, snapshot)
  if (Option.isSome(snapshot) && snapshot.value.format === toolVersion) return { lock, entries }
  const prepare: Effect.Effect<void, SchemaNotEmpty | LockLost | DatabaseError> = Option.isNone(snapshot)
    ? createTables(preparation, lock)
    : session.connection.transaction(Effect.zipRight(lock.fence, history.bringToFormat(snapshot.value.format)))
  yield* prepare.pipe(
    Effect.catchTag("DatabaseError", (cause) => session.refuse("making the schema and its history tables")(cause))
  )
  return { lock, entries }
})
