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

/** The schema holds tables that no history tells about: somebody else's, or a database from before the migrator. */
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

/** A newer program made the history tables. */
export class HistoryFormatUnknown extends Schema.TaggedError<HistoryFormatUnknown>()("HistoryFormatUnknown", {
  service: ServiceName,
  format: Schema.Number
}) {
  get exitCode() {
    return ExitCode.databaseAhead
  }
  override get message(): string {
    return (
      `${this.service}: the history tables have format ${this.format}, this program knows ${toolVersion} at most; nothing ` +
      "was run. Run the newer version"
    )
  }
}

const nothing: HistorySnapshot = { format: toolVersion, entries: [] }

/** The history's rows, unless a newer program wrote them. */
export const knownEntries = (service: ServiceName, snapshot: Option.Option<HistorySnapshot>) => {
  const { format, entries } = Option.getOrElse(snapshot, () => nothing)
  return format > toolVersion ? new HistoryFormatUnknown({ service, format }) : Effect.succeed(entries)
}

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

/** Makes the schema and its history tables in one transaction; inside the lock, or two starters would both make them. */
const prepare = ({ adopt, history, service, session }: SchemaPreparation, lock: SchemaLock) =>
  session.connection.transaction(
    Effect.gen(function* () {
      yield* lock.fence
      const { rows } = yield* session.connection.query(
        `select from pg_catalog.pg_namespace where nspname = '${service}'`
      )
      // `create schema if not exists` wants the privilege to create one even where it stands.
      if (rows.length === 0) yield* session.connection.query(`create schema ${service}`)
      const found = yield* session.connection.query(relations(service))
      if (found.rows.length > 0 && !adopt) {
        const names = found.rows.map((row) => String(row["name"]))
        return yield* new SchemaNotEmpty({ service, address: session.address, relations: names })
      }
      yield* history.bringToForm(0)
    })
  )

/**
 * Takes the lock of a service's schema for as long as the scope lives, makes its history tables or brings them to this
 * program's form, and reads them. What was read before the lock may be stale; this is not.
 */
export const lockSchema = Effect.fn("Migrator.takeSchema")(function* (preparation: SchemaPreparation) {
  const { history, service, session } = preparation
  const { lockWait } = yield* MigratorOptions
  const lock = yield* acquire(session.connection, service, lockWait).pipe(
    Effect.catchTag("DatabaseError", (cause) => session.refuse("taking the migration lock")(cause))
  )
  const read = history.read.pipe(Effect.mapError(session.refuse("reading the migration history")))
  const found = yield* read
  const entries: ReadonlyArray<HistoryEntry> = yield* knownEntries(service, found)
  if (Option.isSome(found) && found.value.format === toolVersion) return { lock, entries }
  const make: Effect.Effect<void, SchemaNotEmpty | LockLost | DatabaseError> = Option.isNone(found)
    ? prepare(preparation, lock)
    : session.connection.transaction(Effect.zipRight(lock.fence, history.bringToForm(found.value.format)))
  yield* make.pipe(
    Effect.catchTag("DatabaseError", (cause) => session.refuse("making the schema and its history tables")(cause))
  )
  return { lock, entries: yield* Effect.flatMap(read, (snapshot) => knownEntries(service, snapshot)) }
})
