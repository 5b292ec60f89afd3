import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { connect } from "../../platform/postgres/Connection.ts"
import { Database } from "../../platform/postgres/Database.ts"
import { displayAddress } from "../../platform/postgres/DatabaseAddress.ts"
import { type DatabaseError, databaseError } from "../../platform/postgres/DatabaseError.ts"
import { DatabaseRefusal } from "../apply/Session.ts"
import type { Queryable } from "./StartSessions.ts"

/** The role by which a service connects may not do what its schema says that it needs. */
export class GrantsMissing extends Schema.TaggedError<GrantsMissing>()("GrantsMissing", {
  service: ServiceName,
  /** Of the application's connection, without password. */
  address: Schema.String,
  role: Schema.String,
  /** As they are to be typed, in order. */
  grants: Schema.Array(Schema.String)
}) {
  get exitCode() {
    return ExitCode.noAccess
  }
  override get message(): string {
    const { grants, role, service } = this
    return (
      `${service}: its role ${role} (${this.address}) lacks privileges that it needs. As the schema's owner type:\n` +
      `${grants.map((grant) => `  ${grant};\n`).join("")}` +
      `or, where docs/roles.sql was run: grant ${groupOf(service)} to ${role}; then start again`
    )
  }
}

/** The group role that stands for a service; docs/roles.sql makes it, the service's login role is a member. */
export const groupOf = (service: ServiceName): string => `gravitas_${service}`

const decode = Schema.decodeUnknown(Schema.Array(Schema.Struct({ grant: Schema.String })))
const grantsOf = (rows: unknown) => Effect.map(Effect.orDie(decode(rows)), (found) => found.map(({ grant }) => grant))

/** 42883: a schema from before `missing_grants`, or one that asks for none. */
const noneAsked = <E extends DatabaseError, R>(asked: Effect.Effect<ReadonlyArray<string>, E, R>) =>
  Effect.catchIf(
    asked,
    ({ sqlstate }) => sqlstate === "42883",
    () => Effect.succeed<ReadonlyArray<string>>([])
  )

/** What the role of the application's own pool lacks. */
export const missingGrants = (
  service: ServiceName,
  pool: PgClient.PgClient
): Effect.Effect<ReadonlyArray<string>, DatabaseError> =>
  pool.unsafe(`select missing.grant from ${service}.missing_grants() as missing ("grant")`).withoutTransform.pipe(
    Effect.mapError((error) => databaseError("statement", error)),
    Effect.flatMap(grantsOf),
    noneAsked
  )

/**
 * Gives the service's group role, where the server has one, what the schema says that the service needs; answers what was
 * given. `asker` is a session of the migration connection: only the owner of the tables may grant. Of several at once one
 * grants and the others find it done, since PostgreSQL fails two grants on one table at the same moment.
 */
export const grantGroup = Effect.fn("Migrator.grant")(function* (
  service: ServiceName,
  asker: Queryable
): Effect.fn.Return<ReadonlyArray<string>, DatabaseRefusal, Database> {
  const group = groupOf(service)
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
        noneAsked
      )
  // In a session of its own: the asker is shared.
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
  return yield* Effect.flatMap(missing(asker), (grants) => (grants.length === 0 ? Effect.succeed(grants) : give)).pipe(
    Effect.mapError(
      (cause) =>
        new DatabaseRefusal({
          service,
          address: displayAddress(url),
          during: `granting ${group} what the ${service} needs`,
          cause,
          remedy: `See what it lacks (select * from ${service}.missing_grants('${group}')), and grant it as the schema's owner`
        })
    )
  )
})

/** The same after a command, which has no session left. */
export const grantGroupAfter = Effect.fn("Migrator.grantAfter")(function* (service: ServiceName) {
  const url = (yield* Database).url(service, "migration")
  const asker = yield* connect({ url, applicationName: "gravitas migrate (grants)" }).pipe(
    Effect.mapError(
      (cause) =>
        new DatabaseRefusal({
          service,
          address: displayAddress(url),
          during: `connecting to see what ${groupOf(service)} lacks`,
          cause,
          remedy: `The revisions are applied. See that PostgreSQL is well there, then: pnpm migrate --service ${service} upgrade`
        })
    )
  )
  return yield* grantGroup(service, asker)
}, Effect.scoped)
