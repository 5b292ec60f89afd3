import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { Database, displayAddress } from "../../platform/postgres/Database.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { loadRevisionSet, type MigratedService } from "../files/MigrationFiles.ts"
import { revisionName } from "../files/Revision.ts"
import { headOf, type RevisionSet } from "../files/RevisionSet.ts"
import { type HistorySnapshot, makeMigrationHistory } from "../history/MigrationHistory.ts"
import { MigratorOptions, toolVersion } from "../MigratorOptions.ts"
import * as Plan from "../plan/Plan.ts"
import type { PlanRefusal } from "../plan/PlanRefusal.ts"
import { Target } from "../plan/Target.ts"
import { roleOf, SchemaUnreadable } from "../SchemaVersion.ts"
import { InspectionSessions, type Queryable } from "./InspectionSessions.ts"
import { knownEntries } from "./LockedSchema.ts"
import { DatabaseIsReplica, DatabaseRefusal } from "./Session.ts"

/** A service's files beside its history, as a start reads both, once and without the lock. */
export interface SchemaInspection {
  readonly set: RevisionSet
  /** None if the history tables do not exist. */
  readonly snapshot: Option.Option<HistorySnapshot>
  readonly connection: Queryable
  /** Of the migration connection, without password. */
  readonly address: string
  readonly current: string
  readonly head: string
  /** What an upgrade to head would do, or why it would be refused. */
  readonly plan: Either.Either<Plan.Plan, PlanRefusal>
  /** Applied revisions that this program does not know. */
  readonly ahead: ReadonlyArray<string>
  /** No revision is pending, and the history tables have this program's format. */
  readonly atHead: boolean
}

/** Reads files and history at the same time and compares every checksum. Takes no lock and changes nothing. */
export const inspectSchema = Effect.fn("Migrator.look")(function* (service: MigratedService) {
  const { name } = service
  const url = (yield* Database).url(name, "migration")
  const address = displayAddress(url)
  const options = yield* MigratorOptions
  const sessions = yield* InspectionSessions

  const refused = (cause: DatabaseError) =>
    cause.sqlstate === "42501"
      ? new SchemaUnreadable({
          service: name,
          address,
          role: roleOf(url),
          relation: "schema_history",
          sqlstate: cause.sqlstate,
          reason: cause.reason
        })
      : new DatabaseRefusal({
          service: name,
          address,
          during: "reading the migration history",
          cause,
          remedy: `Check PostgreSQL there, then: pnpm migrate --service ${name} status`
        })
  const readHistory = Effect.gen(function* () {
    const connection = yield* sessions.of(name)
    const { rows } = yield* connection.query("select pg_catalog.pg_is_in_recovery() as replica")
    if (rows[0]?.["replica"] === true) return yield* new DatabaseIsReplica({ service: name, address })
    return { connection, snapshot: yield* makeMigrationHistory(name, connection, options).read }
  }).pipe(Effect.mapError((error) => (error._tag === "DatabaseError" ? refused(error) : error)))

  const [set, { connection, snapshot }] = yield* Effect.all([loadRevisionSet(service), readHistory], { concurrency: 2 })
  const entries = yield* knownEntries(name, snapshot)
  const plan = Plan.make(set, entries, Target.Head())
  const upToDate = Option.exists(snapshot, ({ format }) => format === toolVersion)
  const inspection: SchemaInspection = {
    set,
    snapshot,
    connection,
    address,
    current: Plan.currentOf(entries).name,
    head: headOf(set).name,
    plan,
    ahead: Either.match(plan, {
      onLeft: () => [],
      onRight: ({ ahead }) => ahead.map((entry) => revisionName(entry.revision, entry.slug))
    }),
    atHead: upToDate && Either.isRight(plan) && plan.right.steps.length === 0
  }
  return inspection
})
