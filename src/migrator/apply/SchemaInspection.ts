import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { ServiceName } from "../../domain/Service.ts"
import { Database } from "../../platform/postgres/Database.ts"
import { displayAddress } from "../../platform/postgres/DatabaseAddress.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { loadRevisionSet } from "../files/MigrationFiles.ts"
import { revisionName } from "../files/Revision.ts"
import { headOf } from "../files/RevisionSet.ts"
import { type HistorySnapshot, makeMigrationHistory } from "../history/MigrationHistory.ts"
import { MigratorOptions, toolVersion } from "../MigratorOptions.ts"
import * as Plan from "../plan/Plan.ts"
import type { PlanRefusal } from "../plan/PlanRefusal.ts"
import { Target } from "../plan/Target.ts"
import { roleOf, SchemaUnreadable } from "../SchemaVersion.ts"
import { HistoryFormatUnknown } from "./LockedSchema.ts"
import { DatabaseIsReplica, DatabaseRefusal } from "./Session.ts"
import { InspectionSessions, type Queryable } from "./StartSessions.ts"

/** Files and history of a service side by side, as a start sees them. */
export interface SchemaInspection {
  readonly connection: Queryable
  /** Of the migration connection, without password. */
  readonly address: string
  readonly current: string
  readonly head: string
  /** What an upgrade to head would do, or why it would refuse. */
  readonly plan: Either.Either<Plan.Plan, PlanRefusal>
  /** Applied here and unknown to this program. */
  readonly ahead: ReadonlyArray<string>
  /** Nothing to do: neither for a revision nor for the history tables. */
  readonly atHead: boolean
}

const nothing: HistorySnapshot = { format: 0, entries: [] }

/** Takes no lock and makes nothing; every checksum is compared. The files are read while PostgreSQL answers. */
export const inspectSchema = Effect.fn("Migrator.look")(function* (service: ServiceName) {
  const url = (yield* Database).url(service, "migration")
  const address = displayAddress(url)
  const options = yield* MigratorOptions
  const sessions = yield* InspectionSessions

  const refused = (cause: DatabaseError) =>
    cause.sqlstate === "42501"
      ? new SchemaUnreadable({
          service,
          address,
          role: roleOf(url),
          relation: "schema_history",
          sqlstate: cause.sqlstate,
          reason: cause.reason
        })
      : new DatabaseRefusal({
          service,
          address,
          during: "reading the migration history",
          cause,
          remedy: `See that PostgreSQL is well there, then: pnpm migrate --service ${service} status`
        })
  const found = Effect.gen(function* () {
    const connection = yield* sessions.of(service)
    const { rows } = yield* connection.query("select pg_catalog.pg_is_in_recovery() as replica")
    if (rows[0]?.["replica"] === true) return yield* new DatabaseIsReplica({ service, address })
    return { connection, snapshot: yield* makeMigrationHistory(service, connection, options).read }
  }).pipe(Effect.mapError((error) => (error._tag === "DatabaseError" ? refused(error) : error)))

  const [set, { connection, snapshot }] = yield* Effect.all([loadRevisionSet(service), found], { concurrency: 2 })
  const { entries, format } = Option.getOrElse(snapshot, () => nothing)
  if (format > toolVersion) return yield* new HistoryFormatUnknown({ service, format })
  const plan = Plan.make(set, entries, Target.Head())
  const seen: SchemaInspection = {
    connection,
    address,
    current: Plan.currentOf(entries).name,
    head: headOf(set).name,
    plan,
    ahead: Either.match(plan, {
      onLeft: () => [],
      onRight: ({ ahead }) => ahead.map((entry) => revisionName(entry.revision, entry.slug))
    }),
    atHead: format === toolVersion && Either.isRight(plan) && plan.right.steps.length === 0
  }
  return seen
})
