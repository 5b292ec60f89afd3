import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { connect } from "../../platform/postgres/Connection.ts"
import { Database, displayAddress } from "../../platform/postgres/Database.ts"
import { type DatabaseError, databaseError } from "../../platform/postgres/DatabaseError.ts"
import type { Queryable } from "./SchemaInspection.ts"
import { databaseRefusal } from "./Session.ts"

/** The role of a service's connection lacks privileges that its schema asks for. */
export class GrantsMissing extends Schema.TaggedError<GrantsMissing>()("GrantsMissing", {
  service: ServiceName,
  /** Of the application's connection, without password. */
  address: Schema.String,
  role: Schema.String,
  /** The statements that grant them, in order. */
  grants: Schema.Array(Schema.String)
}) {
  readonly exitCode = ExitCode.noAccess
  override get message(): string {
    const { grants, role, service } = this
    return (
      `${service}: its role ${role} (${this.address}) lacks privileges that it needs. As the schema's owner, run:\n` +
      `${grants.map((grant) => `  ${grant};\n`).join("")}` +
      `or, where docs/roles.sql was run: grant ${groupOf(service)} to ${role}; then start again`
    )
  }
}

/** The group role of a service. docs/roles.sql creates it; the service's login role is a member. */
const groupOf = (service: ServiceName): string => `gravitas_${service}`

const decode = Schema.decodeUnknown(Schema.Array(Schema.Struct({ grant: Schema.String })))
const grantsOf = (rows: unknown) => Effect.map(Effect.orDie(decode(rows)), (found) => found.map(({ grant }) => grant))

/** 42883: the schema has no function `missing_grants`, so it asks for no grants. */
const emptyIfUndefined = <E extends DatabaseError, R>(asked: Effect.Effect<ReadonlyArray<string>, E, R>) =>
  Effect.catchIf(
    asked,
    ({ sqlstate }) => sqlstate === "42883",
    () => Effect.succeed<ReadonlyArray<string>>([])
  )

/** The GRANT statements that the role of the application's pool lacks. */
export const missingGrants = (
  service: ServiceName,
  pool: PgClient.PgClient
): Effect.Effect<ReadonlyArray<string>, DatabaseError> =>
  pool.unsafe(`select missing.grant from ${service}.missing_grants() as missing ("grant")`).pipe(
    Effect.mapError((error) => databaseError("statement", error)),
    Effect.flatMap(grantsOf),
    emptyIfUndefined
  )

/**
 * Grants the service's group role, if the server has it, what the schema asks for, and returns the statements. `session` is of the
 * migration connection, since only the owner of the tables may grant. An advisory lock serialises processes: PostgreSQL fails
 * two grants on one table at the same moment.
 */
export const grantGroup = Effect.fn("Migrator.grant")(function* (service: ServiceName, session: Queryable) {
  const group = groupOf(service)
  const during = `granting ${group} what the ${service} needs`
  const remedy = `List what it lacks (select * from ${service}.missing_grants('${group}')), and grant it as the schema's owner`
  const url = (yield* Database).url(service, "migration")
  const missing = (connection: Queryable) =>
    connection
      .query(
        `select missing.grant from pg_catalog.pg_roles as r cross join ${service}.missing_grants(r.rolname) as missing ("grant")
         where r.rolname = $1`,
        [group]
      )
      .pipe(
        Effect.flatMap(({ rows }) => grantsOf(rows)),
        emptyIfUndefined
      )
  // In a session of its own, because `session` is shared.
  const give = connect({ url, applicationName: "gravitas migrate (grants)" }).pipe(
    Effect.flatMap((connection) =>
      connection.transaction(
        Effect.gen(function* () {
          const lock = "select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('grant:' || $1, 0))"
          yield* connection.query(lock, [service])
          const grants = yield* missing(connection)
          for (const grant of grants) yield* connection.query(grant)
          if (grants.length > 0) yield* Effect.logInfo(`${service}: granted to ${group}: ${grants.join("; ")}`)
          return grants
        })
      )
    ),
    Effect.scoped
  )
  return yield* Effect.flatMap(missing(session), (grants) =>
    grants.length === 0 ? Effect.succeed(grants) : give
  ).pipe(Effect.mapError(databaseRefusal(service, displayAddress(url), during, remedy)))
})

/** As `grantGroup`, for a command that has closed its session. */
export const grantGroupAfter = Effect.fn("Migrator.grantAfter")(function* (service: ServiceName) {
  const url = (yield* Database).url(service, "migration")
  const during = `connecting to list what ${groupOf(service)} lacks`
  const remedy = `The revisions are applied. Check PostgreSQL there, then: pnpm migrate --service ${service} upgrade`
  const session = yield* connect({ url, applicationName: "gravitas migrate (grants)" }).pipe(
    Effect.mapError(databaseRefusal(service, displayAddress(url), during, remedy))
  )
  return yield* grantGroup(service, session)
}, Effect.scoped)
