import { randomUUID } from "node:crypto"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { connect, type Row } from "../../platform/postgres/Connection.ts"
import { Database, displayAddress } from "../../platform/postgres/Database.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { databaseRefusal } from "../apply/Session.ts"
import type { Revision } from "../files/Revision.ts"
import { quotedName } from "../files/Statements.ts"
import { type CatalogExtent, prepareCatalog } from "./CatalogSnapshot.ts"
import { type ServerReach, serverReachOf } from "./ServerWideStatement.ts"

/**
 * Starts a PostgreSQL that has no other user, and stops it when the scope closes. The program provides it; None where there is no
 * server to start.
 */
export class ScratchServer extends Context.Reference<ScratchServer>()("migrator/inspect/ScratchServer", {
  defaultValue: (): Option.Option<Effect.Effect<Redacted.Redacted, { readonly message: string }, Scope.Scope>> =>
    Option.none()
}) {}

/** The revisions act on what all databases of the server share, and no server of its own can be started for them. */
export class ScratchRefused extends Schema.TaggedError<ScratchRefused>()("ScratchRefused", {
  service: ServiceName,
  /** Without password. */
  address: Schema.String,
  /** What the revisions do beyond their database, each with its place. */
  findings: Schema.Array(Schema.String),
  /** Why no server of its own can be started. */
  reason: Schema.String
}) {
  readonly exitCode = ExitCode.refused
  override get message(): string {
    const shown = this.findings.slice(0, 10)
    const more = this.findings.length - shown.length
    return (
      `${this.service}: revisions act, or may act, on more than their database, and the server of ${this.address} may have ` +
      `other databases; nothing was run:\n${shown.map((finding) => `  ${finding}`).join("\n")}` +
      `${more > 0 ? `\n  and ${more} more` : ""}\n` +
      `They can be run in a PostgreSQL that is started for this alone, but ${this.reason}`
    )
  }
}

const refused = (service: ServiceName, url: Redacted.Redacted) => (cause: DatabaseError) => {
  const remedy =
    cause.sqlstate === "42501"
      ? "The role must be allowed to create databases: alter role <role> createdb; or name another with --database-url"
      : `Check PostgreSQL there, then: pnpm migrate --service ${service} test`
  return databaseRefusal(service, displayAddress(url), "creating a scratch database", remedy)(cause)
}

const asked = (url: Redacted.Redacted, statement: string, values?: ReadonlyArray<unknown>) =>
  connect({ url, applicationName: "gravitas migrate test" }).pipe(
    Effect.flatMap((connection) => connection.query(statement, values)),
    Effect.scoped
  )

/**
 * Creates an empty database with a random name on a server. It is dropped with its sessions when the scope closes, also after an
 * interruption. It copies template0, which no session can have open.
 */
const scratchDatabase = Effect.fnUntraced(function* (service: ServiceName, url: Redacted.Redacted) {
  const name = `gravitas_scratch_${randomUUID().replaceAll("-", "").slice(0, 16)}`
  yield* Effect.acquireRelease(
    Effect.mapError(asked(url, `create database ${name} template template0`), refused(service, url)),
    () =>
      asked(url, `drop database if exists ${name} with (force)`).pipe(
        // The timeout also runs it in a new fiber: connecting would not work in one that is already interrupted.
        Effect.timeoutFail({
          duration: "10 seconds",
          onTimeout: () => new DatabaseError({ phase: "statement", reason: "no answer within 10s" })
        }),
        Effect.catchAll(({ message }) =>
          Effect.logWarning(
            `the scratch database ${name} could not be dropped (${message}); as its owner: drop database ${name}`
          )
        )
      )
  )
  const scratch = new URL(Redacted.value(url))
  scratch.pathname = `/${name}`
  return Redacted.make(scratch.href)
})

/** The attributes that a role of the given server also has in a server of its own, and the columns of `pg_roles` that say so. */
const attributes = {
  rolsuper: "superuser",
  rolinherit: "inherit",
  rolcreaterole: "createrole",
  rolcreatedb: "createdb",
  rolreplication: "replication",
  rolbypassrls: "bypassrls"
} as const

const creationOf = (row: Row): string => {
  const given = Object.entries(attributes).map(([column, name]) => `${row[column] === true ? "" : "no"}${name}`)
  return `create role ${quotedName({ schema: null, name: String(row["rolname"]) })} with ${given.join(" ")}`
}

/** Creates the roles of the given server that the revisions name, without logins and passwords. */
const copyRoles = Effect.fnUntraced(function* (
  from: Redacted.Redacted,
  to: Redacted.Redacted,
  roles: ServerReach["roles"]
) {
  const { rows } = yield* asked(
    from,
    `select rolname, ${Object.keys(attributes).join(", ")} from pg_catalog.pg_roles where rolname = any ($1) and rolname !~ '^pg_' order by 1`,
    [roles]
  )
  const { rows: present } = yield* asked(to, "select rolname from pg_catalog.pg_roles")
  const known = new Set(present.map((row) => row["rolname"]))
  yield* Effect.forEach(
    rows.filter((row) => !known.has(row["rolname"])),
    (row) => asked(to, creationOf(row)),
    { discard: true }
  )
})

/** An empty database in which revisions can run. */
export interface Scratch {
  readonly url: Redacted.Redacted
  /** What a comparison covers there. */
  readonly extent: CatalogExtent
  /** Why the server was started for this alone; empty if it is the given one. */
  readonly serverWide: ReadonlyArray<string>
}

/**
 * Opens an empty database for `revisions`, until the scope closes: beside the service's own, on the same server with the same role.
 * Revisions that act on what all databases of a server share, or may do so, get a PostgreSQL that is started for them alone.
 */
export const openScratch = Effect.fn("Migrator.openScratch")(function* (
  service: ServiceName,
  revisions: ReadonlyArray<Revision>
) {
  const given = (yield* Database).url(service, "migration")
  const address = displayAddress(given)
  const { findings, roles } = yield* serverReachOf(revisions)
  if (findings.length === 0) {
    const url = yield* scratchDatabase(service, given)
    return { url, extent: "database", serverWide: [] } satisfies Scratch
  }
  const refuse = (reason: string) => new ScratchRefused({ service, address, findings, reason })
  const start = yield* ScratchServer
  if (Option.isNone(start)) return yield* refuse("this program has none")
  yield* Effect.logInfo(`${service}: runs in a PostgreSQL that is started for this alone, because of ${findings[0]}`)
  const server = yield* Effect.mapError(start.value, ({ message }) => refuse(message))
  yield* Effect.mapError(copyRoles(given, server, roles), ({ message }) => refuse(`its roles failed: ${message}`))
  const url = yield* scratchDatabase(service, server)
  return { url, extent: "server", serverWide: findings } satisfies Scratch
})

const noPool = () => {
  throw new Error("a scratch database has no application pool")
}

/** Runs an effect with `url` as the database of every service and purpose. It has no application pool. */
export const inDatabase =
  (url: Redacted.Redacted) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Database>> =>
    Effect.provideService(effect, Database, {
      url: () => url,
      address: () => displayAddress(url),
      pool: noPool,
      query: noPool,
      readers: noPool
    })

/** Opens a session that reads the catalog of a scratch database, as often as asked. */
export const catalogReader = Effect.fnUntraced(function* (
  service: ServiceName,
  { extent, url }: Omit<Scratch, "serverWide">
) {
  const refuse = databaseRefusal(service, displayAddress(url), "reading the catalog of a scratch database")
  const connection = yield* Effect.mapError(connect({ url, applicationName: "gravitas migrate test" }), refuse)
  yield* Effect.mapError(connection.query("set search_path = ''"), refuse)
  return Effect.mapError(yield* Effect.mapError(prepareCatalog(connection, extent), refuse), refuse)
})
