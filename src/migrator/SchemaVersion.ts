import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { ServiceName, titleOf } from "../domain/Service.ts"
import { ExitCode } from "../platform/cli/ExitCode.ts"
import { monotonicMillis, yieldNow } from "../platform/os/EventLoop.ts"
import { displayAddress } from "../platform/postgres/Database.ts"
import { type DatabaseError, databaseError } from "../platform/postgres/DatabaseError.ts"
import { base } from "./files/Revision.ts"

/** The one row of `<service>.schema_version`. */
export const VersionRow = Schema.Struct({
  /** 0 at base. */
  revision: Schema.Number,
  /** `0001_audit_log`, or `base`. */
  name: Schema.String,
  /** When it was applied, to the microsecond. Together with the name it distinguishes two databases. */
  applied: Schema.NullOr(Schema.String)
})
export type VersionRow = typeof VersionRow.Type

/** Reads the time as seconds since 1970, independent of the session's time zone. */
export const versionQuery = (service: ServiceName): string =>
  `select revision, name, extract(epoch from applied_at)::text as applied from ${service}.schema_version`

/** The role of a connection string; a name in brackets if the string does not name one. */
export const roleOf = (url: Redacted.Redacted): string => {
  const text = Redacted.value(url)
  const name = URL.canParse(text) ? decodeURIComponent(new URL(text).username) : ""
  return name === "" ? "<its role>" : name
}

/** A service's connection cannot read the migrator's tables in its schema. */
export class SchemaUnreadable extends Schema.TaggedError<SchemaUnreadable>()("SchemaUnreadable", {
  service: ServiceName,
  /** Without password. */
  address: Schema.String,
  role: Schema.String,
  relation: Schema.Literal("schema_version", "schema_history"),
  sqlstate: Schema.optional(Schema.String),
  reason: Schema.String
}) {
  readonly exitCode = ExitCode.noAccess
  override get message(): string {
    const { relation, role, service } = this
    const remedy =
      this.sqlstate === "42501"
        ? `As the schema's owner: grant usage on schema ${service} to ${role}; grant select on ${service}.${relation} to ` +
          `${role}; to list every missing grant: select * from ${service}.missing_grants('${role}')`
        : this.sqlstate === "42P01" || this.sqlstate === "3F000"
          ? "The migration connection points at another database: make DATABASE_URL and MIGRATION_DATABASE_URL " +
            `(or ${service.toUpperCase()}_… of both) name the same one`
          : "Check PostgreSQL there, then start again"
    return (
      `${service}: the application's connection to ${this.address} cannot read ${service}.${relation}: ${this.reason}` +
      `${this.sqlstate === undefined ? "" : ` (SQLSTATE ${this.sqlstate})`}. ${remedy}`
    )
  }
}

/** The application's connection reaches a different schema from the one that was migrated. */
export class SchemaElsewhere extends Schema.TaggedError<SchemaElsewhere>()("SchemaElsewhere", {
  service: ServiceName,
  address: Schema.String,
  migrationAddress: Schema.String,
  expected: Schema.String,
  actual: Schema.String
}) {
  readonly exitCode = ExitCode.noAccess
  override get message(): string {
    const { service } = this
    const seen = this.actual === this.expected ? `another ${this.expected} (applied at another time)` : this.actual
    return (
      `${service}: the migration connection (${this.migrationAddress}) brought the schema to ${this.expected}, but the ` +
      `application's connection (${this.address}) sees ${seen}: they are two databases. Make DATABASE_URL and ` +
      `MIGRATION_DATABASE_URL (or ${service.toUpperCase()}_… of both) name the same one`
    )
  }
}

/** Builds the refusal for a connection to `url`, which reads `relation` with this error. */
export const schemaUnreadable = (
  service: ServiceName,
  url: Redacted.Redacted,
  relation: SchemaUnreadable["relation"],
  { reason, sqlstate }: DatabaseError
): SchemaUnreadable =>
  new SchemaUnreadable({
    service,
    address: displayAddress(url),
    role: roleOf(url),
    relation,
    reason,
    sqlstate
  })

const decodeRow = Schema.decodeUnknown(Schema.NonEmptyArray(VersionRow))

/** Reads the current revision through the application's pool, which connects to `url`. */
export const readVersion = (
  service: ServiceName,
  url: Redacted.Redacted,
  pool: PgClient.PgClient
): Effect.Effect<VersionRow, SchemaUnreadable> =>
  pool.unsafe(versionQuery(service)).pipe(
    Effect.mapError((error) => schemaUnreadable(service, url, "schema_version", databaseError("statement", error))),
    Effect.flatMap((rows) => Effect.orDie(decodeRow(rows))),
    Effect.map(([row]) => row)
  )

const decodeNames = Schema.decodeUnknown(Schema.Array(Schema.Struct({ name: Schema.String })))

/** The number of a revision's name; 0 of `base`. */
const numberOf = (name: string): number => (name === base ? 0 : Number.parseInt(name, 10))

/** Reads which revisions after `name` removed something. Undefined where that cannot be read, as by a role without the right. */
export const contractionsAfter = (
  service: ServiceName,
  pool: PgClient.PgClient,
  name: string
): Effect.Effect<ReadonlyArray<string> | undefined> =>
  pool
    .unsafe(
      `select pg_catalog.lpad(revision::text, 4, '0') || '_' || slug as name from ${service}.schema_history
       where phase = 'contract' and revision > $1 order by revision`,
      [numberOf(name)]
    )
    .pipe(
      Effect.flatMap(decodeNames),
      Effect.map((rows) => rows.map(({ name }) => name)),
      Effect.orElseSucceed(() => undefined)
    )

/**
 * Proof that the service's schema was checked, or that the operator chose not to check it (MIGRATE_ON_START=off). The layers of a
 * service depend on it, so that none of them is built before the schema is ready.
 */
export interface SchemaVersion<S extends ServiceName> {
  readonly service: S
  /** The last revision that this program knows. */
  readonly head: string
  /** The revision at start: past `head` if a newer program expanded the schema, `head` if nothing was checked. */
  readonly expected: string
  /** Reads the current revision through the application's pool. */
  readonly actual: Effect.Effect<string, SchemaUnreadable>
  /** Reads the names of later revisions than `expected` that removed something (phase contract); undefined where that cannot be read. */
  readonly contractions: Effect.Effect<ReadonlyArray<string> | undefined>
}

/** The tag of a service's SchemaVersion; each service has its own, so that several can run in one process. */
export const schemaVersionTag = <S extends ServiceName>(service: S) =>
  Context.GenericTag<SchemaVersion<S>>(`migrator/SchemaVersion/${service}`)

/** Whether the database answers a service, and which revision its schema is at. */
interface SchemaState {
  readonly databaseAnswers: boolean
  /** Why the database does not answer, or why the revision cannot be read. */
  readonly databaseProblem?: string
  /** `problem`: which later revisions removed something that this program may need. */
  readonly schema: { readonly expected: string; readonly actual: string | null; readonly problem?: string }
  /**
   * True if the schema is not older than the program. The migrator checked a newer one at start. With MIGRATE_ON_START=off this
   * alone keeps a service on an older schema from being ready.
   */
  readonly schemaStands: boolean
}

/** Compares by name: a name begins with its number in four digits, and `base` is before them all. */
const isBehind = (actual: string, head: string): boolean => (actual === base ? head !== base : actual < head)

/** A database that needs longer for one row counts as unreachable. Supervisors wait for a second, and have a network between. */
const longestQuery = Duration.millis(250)

/** For how long the last answer's schema is believed, once the database is late. */
const believed = Duration.seconds(2)

/** Load balancers send many probes: one query serves all that arrive within this time. */
const freshness = Duration.millis(250)

/** True for an error with a SQLSTATE, unless it says that no session can be opened: stopping, starting, full, refused. */
const isAnswer = ({ sqlstate }: SchemaUnreadable): boolean =>
  sqlstate !== undefined && !/^(08|28|3D|53|57P)/.test(sqlstate)

/** What makes a running service's schema another than the one that it was started on. */
const contractionProblem = (service: ServiceName, contractions: ReadonlyArray<string>): string =>
  `${contractions.join(", ")} (phase contract) removed what this program may need: start the version ` +
  `that knows ${contractions.length === 1 ? "it" : "them"}, or downgrade the schema (pnpm migrate --service ${service} downgrade)`

/**
 * Makes a probe of the current revision. It takes about 250 ms at most; its result is shared for as long. A later revision of phase
 * contract is logged once.
 */
export const schemaProbe = <S extends ServiceName>(
  version: SchemaVersion<S>
): Effect.Effect<Effect.Effect<SchemaState>> => {
  const { contractions, expected, head, service } = version
  let removed: ReadonlyArray<string> = []
  let logged: string | undefined
  let last: { readonly state: SchemaState; readonly at: number } | undefined
  const unread = (databaseAnswers: boolean, databaseProblem: string): SchemaState => ({
    databaseAnswers,
    databaseProblem,
    schema: { expected, actual: null },
    schemaStands: false
  })
  const ask = version.actual.pipe(
    Effect.flatMap((actual) =>
      Effect.gen(function* () {
        // What was seen once stays, where it cannot be read this time.
        removed = isBehind(expected, actual) ? ((yield* contractions) ?? removed) : []
        const problem = removed.length === 0 ? undefined : contractionProblem(service, removed)
        if (problem !== undefined && problem !== logged)
          yield* Effect.logError(`${titleOf(service)} schema: ${problem}`)
        logged = problem
        const state: SchemaState = {
          databaseAnswers: true,
          schema: { expected, actual, ...(problem === undefined ? {} : { problem }) },
          schemaStands: !isBehind(actual, head)
        }
        last = { state, at: yield* monotonicMillis }
        return state
      })
    ),
    Effect.catchAll((error) => Effect.succeed(unread(isAnswer(error), error.reason))),
    // A query to a stopped server cannot be cancelled, so it continues in the background.
    Effect.disconnect,
    // A busy event loop sees that the time is up before it reads what has arrived: it gets one turn for that.
    Effect.race(
      Effect.sleep(longestQuery).pipe(
        Effect.zipRight(yieldNow),
        Effect.zipRight(monotonicMillis),
        Effect.map((now): SchemaState => {
          const databaseProblem = `no answer within ${Duration.format(longestQuery)}`
          // One slow moment must not take every replica out of service at once.
          return last === undefined || now - last.at > Duration.toMillis(believed)
            ? unread(false, databaseProblem)
            : { ...last.state, databaseAnswers: false, databaseProblem }
        })
      )
    )
  )
  return Effect.cachedWithTTL(ask, freshness)
}
