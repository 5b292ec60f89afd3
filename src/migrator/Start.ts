import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { ServiceName, titleOf } from "../domain/Service.ts"
import { ExitCode } from "../platform/cli/ExitCode.ts"
import { Settings } from "../platform/config/Settings.ts"
import { Database } from "../platform/postgres/Database.ts"
import type { DatabaseError } from "../platform/postgres/DatabaseError.ts"
import { GrantsMissing, grantGroup, missingGrants } from "./apply/Grants.ts"
import { migrate } from "./apply/Migrate.ts"
import { inspectSchema } from "./apply/SchemaInspection.ts"
import { DatabaseRefusal } from "./apply/Session.ts"
import type { Queryable } from "./apply/StartSessions.ts"
import { loadRevisionSet } from "./files/MigrationFiles.ts"
import { headOf } from "./files/RevisionSet.ts"
import { Target } from "./plan/Target.ts"
import {
  readVersion,
  roleOf,
  SchemaElsewhere,
  type SchemaUnreadable,
  type SchemaVersion,
  type VersionRow,
  versionQuery
} from "./SchemaVersion.ts"

/** What a start found or made. */
interface StartedSchema {
  readonly head: string
  readonly revision: string
  readonly ahead: ReadonlyArray<string>
  /** The migration connection, and where that is. */
  readonly connection: Queryable
  readonly address: string
}

/** Mode `upgrade`: to head, under the lock where there is something to do. */
const upgraded = Effect.fnUntraced(function* (service: ServiceName) {
  const seen = yield* inspectSchema(service)
  const { address, ahead, connection, current: revision, head } = seen
  if (seen.atHead) return { head, revision, ahead, connection, address }
  const outcome = yield* migrate(service, Target.Head())
  return { head: outcome.head, revision: outcome.to, ahead: outcome.ahead, connection, address }
})

/** Mode `verify`: reads only, and by any role that may read the history. */
const verified = Effect.fnUntraced(function* (service: ServiceName) {
  const { address, ahead, connection, current: revision, head, plan } = yield* inspectSchema(service)
  const { steps } = yield* plan
  if (steps.length > 0) {
    return yield* new SchemaNotAtHead({ service, address, current: revision, head, pending: steps.length })
  }
  return { head, revision, ahead, connection, address }
})

/** The application connects otherwise than the migrations: as another role, most likely. */
const isApart = (database: Database["Type"], service: ServiceName): boolean =>
  Redacted.value(database.url(service, "application")) !== Redacted.value(database.url(service, "migration"))

/** The application's connection must reach the same schema, and may do there what the service needs. */
const readBack = Effect.fnUntraced(function* (service: ServiceName, standing: StartedSchema) {
  const database = yield* Database
  const url = database.url(service, "application")
  const pool = database.pool(service)
  const address = database.address(service)
  const apart = isApart(database, service)
  const { migrateOnStart } = yield* Settings
  const during = (cause: DatabaseError) =>
    new DatabaseRefusal({
      service,
      address,
      during: "reading what the application may do",
      cause,
      remedy: `See that PostgreSQL is well there, then: pnpm migrate --service ${service} status`
    })
  if (apart && migrateOnStart === "upgrade") yield* grantGroup(service, standing.connection)
  const seen = yield* readVersion(service, url, pool)
  const there = apart
    ? (yield* Effect.mapError(standing.connection.query(versionQuery(service)), during)).rows[0]
    : { name: standing.revision, applied: seen.applied }
  if (seen.name !== there?.["name"] || seen.applied !== there["applied"]) {
    const { address: migrationAddress, revision: expected } = standing
    return yield* new SchemaElsewhere({ service, address, migrationAddress, expected, actual: seen.name })
  }
  // The role that migrates owns what it made.
  if (!apart && migrateOnStart === "upgrade") return
  const grants = yield* Effect.mapError(missingGrants(service, pool), during)
  if (grants.length > 0) return yield* new GrantsMissing({ service, address, role: roleOf(url), grants })
})

const reportSchema = (service: ServiceName, { ahead, head, revision }: StartedSchema) =>
  Effect.gen(function* () {
    if (ahead.length > 0) {
      yield* Effect.logWarning(
        `${titleOf(service)} runs on a schema ahead of it: ${ahead.join(", ")} only expand it, so its own ` +
          `revisions up to ${head} still hold; update the program`
      )
    }
    const place = ahead.length > 0 ? `ahead of head ${head}` : "head"
    yield* Effect.logInfo(`${titleOf(service)} schema versioned at revision ${revision} (${place})`)
  }).pipe(Effect.annotateLogs({ service, revision, head }))

/** Mode `off`: says what it stands on, or that this cannot be read. The service is not ready while that is behind. */
const unchecked = Effect.fnUntraced(function* (
  service: ServiceName,
  actual: Effect.Effect<VersionRow, SchemaUnreadable>
) {
  const head = headOf(yield* loadRevisionSet(service)).name
  const seen = yield* Effect.either(actual)
  const what = Either.isRight(seen) ? `is at ${seen.right.name}` : `cannot be read: ${seen.left.message}`
  yield* Effect.logWarning(
    `${titleOf(service)} schema ${what}; this program expects ${head}, and MIGRATE_ON_START=off checked nothing`
  ).pipe(Effect.annotateLogs({ service, head }))
  return { head, revision: head }
})

/** What a service does about its schema before it opens its port, by `MIGRATE_ON_START`; see Migrator.layer. */
export const start = Effect.fn("Migrator.start")(function* <S extends ServiceName>(service: S) {
  const database = yield* Database
  const { migrateOnStart } = yield* Settings
  const read = readVersion(service, database.url(service, "application"), database.pool(service))
  const actual = Effect.map(read, ({ name }) => name)
  if (migrateOnStart === "off") {
    const { head, revision } = yield* unchecked(service, read)
    const version: SchemaVersion<S> = { service, head, expected: revision, actual }
    return version
  }
  // The look has a session of its own then, and the pool's first one opens meanwhile.
  if (isApart(database, service)) yield* Effect.forkScoped(Effect.ignore(read))
  const standing = yield* migrateOnStart === "verify" ? verified(service) : upgraded(service)
  yield* readBack(service, standing)
  yield* reportSchema(service, standing)
  const version: SchemaVersion<S> = { service, head: standing.head, expected: standing.revision, actual }
  return version
}, Effect.scoped)

/** Revisions are pending, and MIGRATE_ON_START=verify leaves them to a migration job. */
export class SchemaNotAtHead extends Schema.TaggedError<SchemaNotAtHead>()("SchemaNotAtHead", {
  service: ServiceName,
  /** Without password. */
  address: Schema.String,
  current: Schema.String,
  head: Schema.String,
  pending: Schema.Number
}) {
  get exitCode() {
    return ExitCode.pending
  }
  override get message(): string {
    const { address, current, head, pending, service } = this
    return (
      `${service}: the schema at ${address} is at ${current}, not at head ${head} (${pending} pending), and ` +
      `MIGRATE_ON_START=verify applies nothing. With the role that owns it: pnpm migrate --service ${service} upgrade; ` +
      "then start again"
    )
  }
}
