import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { ServiceName, titleOf } from "../domain/Service.ts"
import { ExitCode } from "../platform/cli/ExitCode.ts"
import { Settings } from "../platform/config/Settings.ts"
import { inOwnFiber } from "../platform/os/OwnFiber.ts"
import { Database } from "../platform/postgres/Database.ts"
import { GrantsMissing, grantGroup, missingGrants } from "./apply/Grants.ts"
import { migrate } from "./apply/Migrate.ts"
import { InspectionSessions, inspectSchema } from "./apply/SchemaInspection.ts"
import { databaseRefusal } from "./apply/Session.ts"
import { headOf, loadRevisionSet, type MigratedService } from "./files/RevisionSet.ts"
import { Target } from "./plan/Target.ts"
import {
  contractionsAfter,
  readVersion,
  roleOf,
  SchemaElsewhere,
  type SchemaUnreadable,
  type SchemaVersion,
  schemaVersionTag,
  versionQuery
} from "./SchemaVersion.ts"

/** Revisions are pending, and MIGRATE_ON_START=verify leaves them to a migration job. */
export class SchemaNotAtHead extends Schema.TaggedError<SchemaNotAtHead>()("SchemaNotAtHead", {
  service: ServiceName,
  /** Without password. */
  address: Schema.String,
  current: Schema.String,
  head: Schema.String,
  pending: Schema.Number
}) {
  readonly exitCode = ExitCode.pending
  override get message(): string {
    const { address, current, head, pending, service } = this
    return (
      `${service}: the schema at ${address} is at ${current}, not at head ${head} (${pending} pending), and ` +
      `MIGRATE_ON_START=verify applies nothing. With the role that owns it: pnpm migrate --service ${service} upgrade; ` +
      "then start again"
    )
  }
}

/** The role of the start may not read the schema, and nothing was migrated there yet: roles.sql has made the empty schema alone. */
export class SchemaNotMigrated extends Schema.TaggedError<SchemaNotMigrated>()("SchemaNotMigrated", {
  service: ServiceName,
  /** Without password. */
  address: Schema.String
}) {
  readonly exitCode = ExitCode.pending
  override get message(): string {
    const { address, service } = this
    return (
      `${service}: the schema at ${address} is not migrated yet: it has no table ${service}.schema_history. With the role that owns ` +
      `it, as MIGRATION_DATABASE_URL: pnpm migrate --service ${service} upgrade; then start again`
    )
  }
}

/** Tells a schema that was never migrated from one that the role may not read. Any role may read the catalog. */
const notMigrated = Effect.fnUntraced(function* (unreadable: SchemaUnreadable) {
  const { address, service, sqlstate } = unreadable
  if (sqlstate !== "42501") return yield* unreadable
  const connection = yield* (yield* InspectionSessions).of(service)
  const { rows } = yield* connection
    .query(
      `select 1 from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
       where n.nspname = $1 and c.relname = 'schema_history'`,
      [service]
    )
    .pipe(Effect.mapError(() => unreadable))
  return yield* rows.length > 0 ? unreadable : new SchemaNotMigrated({ service, address })
})

/** The schema as the start found or made it, with the migration connection: at head (`upgrade`), or only read (`verify`). */
const startedSchema = Effect.fnUntraced(function* (service: MigratedService, mode: "upgrade" | "verify") {
  const inspection = yield* Effect.catchTag(inspectSchema(service), "SchemaUnreadable", notMigrated)
  const { address, ahead, atHead, connection, current: revision, head, plan, shown } = inspection
  if (mode === "upgrade" && !atHead) {
    const outcome = yield* migrate(service, Target.Head(), inspection)
    return { head: outcome.head, revision: outcome.to, ahead: outcome.ahead, connection, address, shown: undefined }
  }
  const pending = (yield* plan).steps.length
  if (pending === 0) return { head, revision, ahead, connection, address, shown }
  return yield* new SchemaNotAtHead({ service: service.name, address, current: revision, head, pending })
})

type StartedSchema = Effect.Effect.Success<ReturnType<typeof startedSchema>>

/** True if the application has a connection string of its own, so most likely another role. */
const isApart = (database: Database["Type"], service: ServiceName): boolean =>
  Redacted.value(database.url(service, "application")) !== Redacted.value(database.url(service, "migration"))

/** Checks that the application's connection reaches the same schema and has the privileges that the service needs. */
const readBack = Effect.fnUntraced(function* (service: ServiceName, started: StartedSchema) {
  const database = yield* Database
  const url = database.url(service, "application")
  const pool = database.pool(service)
  const address = database.address(service)
  const apart = isApart(database, service)
  const { migrateOnStart } = yield* Settings
  const refused = databaseRefusal(service, address, "reading what the application may do")
  if (apart && migrateOnStart === "upgrade") yield* grantGroup(service, started.connection)
  // Where the connections are one, the inspection has read it there.
  const isShown = !apart && started.shown === started.revision
  const seen = isShown ? { name: started.revision, applied: null } : yield* readVersion(service, url, pool)
  const there = apart
    ? (yield* Effect.mapError(started.connection.query(versionQuery(service)), refused)).rows[0]
    : { name: started.revision, applied: seen.applied }
  if (seen.name !== there?.["name"] || seen.applied !== there["applied"]) {
    const { address: migrationAddress, revision: expected } = started
    return yield* new SchemaElsewhere({ service, address, migrationAddress, expected, actual: seen.name })
  }
  // The role that migrates owns the tables that it created.
  if (!apart && migrateOnStart === "upgrade") return
  const grants = yield* Effect.mapError(missingGrants(service, pool), refused)
  if (grants.length > 0) return yield* new GrantsMissing({ service, address, role: roleOf(url), grants })
})

const logVersion = (service: ServiceName, { ahead, head, revision }: StartedSchema) =>
  Effect.gen(function* () {
    if (ahead.length > 0) {
      yield* Effect.logWarning(
        `${titleOf(service)} runs on a schema ahead of it: ${ahead.join(", ")} only expand it, so its own ` +
          `revisions up to ${head} still hold; update the program`
      )
    }
    const position = ahead.length > 0 ? `ahead of head ${head}` : "head"
    yield* Effect.logInfo(`${titleOf(service)} schema versioned at revision ${revision} (${position})`)
  }).pipe(Effect.annotateLogs({ service, revision, head }))

/** Mode `off`: logs the current revision, or why it cannot be read. The service is not ready while that revision is behind. */
const unchecked = Effect.fnUntraced(function* (
  service: MigratedService,
  actual: Effect.Effect<string, SchemaUnreadable>
) {
  const head = headOf(yield* loadRevisionSet(service)).name
  const seen = yield* Effect.either(actual)
  const what = Either.isRight(seen) ? `is at ${seen.right}` : `cannot be read: ${seen.left.message}`
  yield* Effect.logWarning(
    `${titleOf(service.name)} schema ${what}; this program expects ${head}, and MIGRATE_ON_START=off checked nothing`
  ).pipe(Effect.annotateLogs({ service: service.name, head }))
  return head
})

/** Checks or upgrades a service's schema before the service opens its port, by `MIGRATE_ON_START`; see ServiceSchema. */
const start = Effect.fn("Migrator.start")(
  function* <S extends ServiceName>(service: MigratedService<S>) {
    const { name } = service
    const database = yield* Database
    const { migrateOnStart } = yield* Settings
    const pool = database.pool(name)
    const read = readVersion(name, database.url(name, "application"), pool)
    const actual = Effect.map(read, ({ name }) => name)
    if (migrateOnStart === "off") {
      const head = yield* unchecked(service, actual)
      const contractions = contractionsAfter(name, pool, head)
      return { service: name, head, expected: head, actual, contractions } satisfies SchemaVersion<S>
    }
    // The inspection then has a session of its own; the pool opens its first session at the same time.
    if (isApart(database, name)) yield* Effect.forkScoped(Effect.ignore(read))
    const started = yield* startedSchema(service, migrateOnStart)
    yield* readBack(name, started)
    yield* logVersion(name, started)
    const { head, revision: expected } = started
    const contractions = contractionsAfter(name, pool, expected)
    return { service: name, head, expected, actual, contractions } satisfies SchemaVersion<S>
  },
  Effect.scoped,
  inOwnFiber
)

export type MigratorRequirements = Database | Settings

/** Why a service does not start. Each error has an `exitCode`, see platform/cli/ExitCode.ts. */
type StartRefusal = Effect.Effect.Error<ReturnType<typeof start>>

/** A service's schema, as the layers of the service depend on it. */
export interface ServiceSchema<S extends ServiceName> {
  readonly service: MigratedService<S>
  /** Proof that the schema was checked at start, and access to its version. */
  readonly version: Context.Tag<SchemaVersion<S>, SchemaVersion<S>>
  /**
   * Brings the schema to head on the service's migration connection, then reads `schema_version` back through the
   * application's pool. `MIGRATE_ON_START` decides:
   *
   * - `upgrade` applies what is pending. If the application has a connection string of its own, its group role gets the grants
   *   that the schema asks for. A role that still lacks one is refused (exit 9, with the GRANT).
   * - `verify`, for deployments with a migration job, applies nothing and needs only the application's connection. It refuses a
   *   schema that is not at head (exit 3). A newer schema is accepted with a warning if it only expands, else refused (exit 8).
   * - `off` checks nothing and logs what it sees.
   *
   * Layers that need `version` are built only after that, so no port opens on a schema that is not understood. It is one
   * value: however often it is provided, it runs once in a process.
   */
  readonly layer: Layer.Layer<SchemaVersion<S>, StartRefusal, MigratorRequirements>
}

/** Describes the schema of a service. Each service has one such value, which everything that needs its schema imports. */
export const serviceSchema = <S extends ServiceName>(service: MigratedService<S>): ServiceSchema<S> => {
  const version = schemaVersionTag(service.name)
  return { service, version, layer: Layer.provide(Layer.effect(version, start(service)), InspectionSessions.layer) }
}
