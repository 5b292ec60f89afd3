import * as Reactivity from "@effect/experimental/Reactivity"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import Pg from "pg"
import type { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../cli/ExitCode.ts"
import { isLoopback } from "../config/Loopback.ts"
import { type DatabaseUrl, Settings, shutdownShares } from "../config/Settings.ts"
import { reasonOf } from "../os/FileTrust.ts"
import { requireTrustedWay } from "../os/NamedFile.ts"
import { AuthenticatedClient, DatabaseAuth } from "./AuthenticatedClient.ts"
import { connect } from "./Connection.ts"
import { connectReason, connectRemedy } from "./ConnectProblem.ts"
import { DatabaseError, databaseError } from "./DatabaseError.ts"
import { type PooledQuery, pooledQuery } from "./PooledQuery.ts"

/** The part of a connection string that may be shown: scheme, role, host, port and database; never password or parameters. */
export const displayAddress = (url: Redacted.Redacted): string => {
  const given = Redacted.value(url)
  if (!URL.canParse(given)) return "postgresql://(unreadable)"
  const { username, hostname, port, pathname } = new URL(given)
  const role = username === "" ? "" : `${username}@`
  // A password with an unescaped "/" ends up in the path, before an "@".
  const database = pathname.includes("@") ? "/(unreadable)" : pathname
  // The directory of a Unix socket, in the readable one of the two forms that psql accepts.
  if (/^%2f/i.test(hostname)) {
    const named = port === "" || port === "5432" ? "" : `&port=${port}`
    return `postgresql://${role}${database}?host=${decodeURIComponent(hostname)}${named}`
  }
  return `postgresql://${role}${hostname}${port === "" ? "" : `:${port}`}${database}`
}

/**
 * Whether others on the network can read what is said to this server, or answer in its place. By what the driver makes of the
 * connection string and of `PGSSLMODE`, so that both always mean the same.
 */
export const isExposed = (url: Redacted.Redacted): boolean => {
  const client = Either.try(() => new Pg.Client({ connectionString: Redacted.value(url) }))
  // Certificate files that cannot be read are reported where the first session is opened.
  if (Either.isLeft(client)) return false
  const { host } = client.right
  if (host.startsWith("/") || isLoopback(host)) return false
  const ssl: unknown = Reflect.get(client.right, "ssl")
  return typeof ssl === "object" && ssl !== null ? Reflect.get(ssl, "rejectUnauthorized") === false : ssl !== true
}

/** PostgreSQL did not answer within `DATABASE_CONNECT_DEADLINE`, or refused for good. */
export class DatabaseUnreachable extends Schema.TaggedError<DatabaseUnreachable>()("DatabaseUnreachable", {
  address: Schema.String,
  attempts: Schema.Number,
  waited: Schema.String,
  cause: DatabaseError
}) {
  readonly exitCode = ExitCode.noAccess
  override get message(): string {
    const remedy = connectRemedy(this.cause)
    return (
      `cannot connect to ${this.address}: ${connectReason(this.cause)} (${this.attempts} attempt${this.attempts === 1 ? "" : "s"}, ` +
      `${this.waited}).${remedy === undefined ? "" : ` ${remedy}.`}`
    )
  }
}

/** 28: no such role, wrong password. 3D: no such database. Waiting does not help. */
const isFinal = (error: DatabaseError): boolean => /^(28|3D|0A)/.test(error.sqlstate ?? "")

const firstPause = Duration.millis(200)
const longestPause = Duration.seconds(3)
const shortestAttempt = Duration.millis(250)
const longestAttempt = Duration.seconds(5)

/** Opens a session within a time, and closes it. */
const probe =
  (url: Redacted.Redacted) =>
  (connectTimeout: Duration.Duration): Effect.Effect<unknown, DatabaseError> =>
    Effect.scoped(connect({ url, applicationName: "gravitas start", connectTimeout }))

/** Tries until a session opens or `deadline` has passed, with a line per failed attempt. `open` is one attempt, within its time. */
export const waitUntilReachable = (
  url: Redacted.Redacted,
  deadline: Duration.Duration,
  open: (within: Duration.Duration) => Effect.Effect<unknown, DatabaseError> = probe(url)
): Effect.Effect<void, DatabaseUnreachable> =>
  Effect.gen(function* () {
    const address = displayAddress(url)
    const start = yield* Clock.currentTimeNanos
    // Counts the attempts too, not only the pauses: a server that does not answer makes each of them last.
    const elapsed = Effect.map(Clock.currentTimeNanos, (now) => Duration.millis(Number((now - start) / 1_000_000n)))
    for (let attempt = 1; ; attempt++) {
      const left = Duration.subtract(deadline, yield* elapsed)
      const connectTimeout = Duration.clamp(left, { minimum: shortestAttempt, maximum: longestAttempt })
      const outcome = yield* Effect.either(open(connectTimeout))
      if (Either.isRight(outcome)) return
      const cause = outcome.left
      const waited = yield* elapsed
      if (isFinal(cause) || Duration.greaterThanOrEqualTo(waited, deadline)) {
        return yield* new DatabaseUnreachable({ address, attempts: attempt, waited: Duration.format(waited), cause })
      }
      const pause = Duration.min(
        Duration.min(Duration.times(firstPause, 2 ** (attempt - 1)), longestPause),
        Duration.subtract(deadline, waited)
      )
      yield* Effect.logWarning(
        `PostgreSQL is not reachable at ${address} (attempt ${attempt}: ${connectReason(cause)}); ` +
          `trying again in ${Duration.format(pause)}`
      )
      yield* Effect.sleep(pause)
    }
  })

/** Refuses a certificate or key of a connection string that another account could change. */
const requireTrustedFiles = (url: Redacted.Redacted) =>
  Effect.forEach(["sslrootcert", "sslcert", "sslkey"], (name) => {
    const file = new URL(Redacted.value(url)).searchParams.get(name)
    if (file === null) return Effect.void
    return Effect.tryPromise({
      try: () => requireTrustedWay(file),
      catch: (error) => {
        const cause = new DatabaseError({ phase: "connect", reason: `${name}: ${reasonOf(error)}` })
        return new DatabaseUnreachable({ address: displayAddress(url), attempts: 0, waited: "0s", cause })
      }
    })
  })

/** The sessions of a pool: of the service's own work, and of readers, whose slow queries must leave the others alone. */
const poolSizes = { gravitas: 10, "gravitas reader": 2 } as const

const openPool = (url: Redacted.Redacted, applicationName: keyof typeof poolSizes, endWithin: Duration.Duration) =>
  Effect.acquireRelease(
    Effect.map(DatabaseAuth, ({ md5 }) => {
      const options = {
        connectionString: Redacted.value(url),
        application_name: applicationName,
        max: poolSizes[applicationName],
        connectionTimeoutMillis: 5_000,
        idleTimeoutMillis: 30_000,
        query_timeout: 30_000,
        keepAlive: true,
        Client: AuthenticatedClient,
        md5
      }
      const pool = new Pg.Pool(options)
      // The pool replaces a lost idle connection itself; an unhandled error event would end the process.
      pool.on("error", () => {})
      return pool
    }),
    (pool) =>
      Effect.promise(() => pool.end()).pipe(Effect.interruptible, Effect.timeoutOption(endWithin), Effect.asVoid)
  )

/**
 * Opens a pool's first session, in which the first query of a start then runs: opening one costs more than its queries. An attempt
 * that is late ends by the pool's own timeout.
 */
const openFirst =
  (pool: Pg.Pool) =>
  (within: Duration.Duration): Effect.Effect<unknown, DatabaseError> =>
    Effect.tryPromise({
      try: () => pool.connect().then((client) => client.release()),
      catch: (cause) => databaseError("connect", cause)
    }).pipe(
      Effect.timeoutFail({
        duration: within,
        onTimeout: () => new DatabaseError({ phase: "connect", reason: "timeout expired", late: true })
      })
    )

/** The stock listener would connect by the driver's own client, which sends its password to any server that asks for it. */
const noListener = Stream.die("listen on a session of `connect`, which makes an AuthenticatedClient")

interface Pools {
  readonly pool: PgClient.PgClient
  readonly query: PooledQuery
  readonly readers: PgClient.PgClient
}

const clientOf = (pool: Pg.Pool) =>
  Effect.map(PgClient.fromPool({ acquire: Effect.succeed(pool) }), (client) =>
    Object.assign(client, { listen: () => noListener })
  )

/** Where each service's data is, and for each distinct connection string a pool and one for readers. */
export class Database extends Context.Tag("platform/postgres/Database")<
  Database,
  {
    /** The connection string with its password: for `connect`, never for a log. */
    readonly url: (service: ServiceName, purpose: "application" | "migration") => Redacted.Redacted
    /** The same without password. */
    readonly address: (service: ServiceName) => string
    /** The application's pool; services with the same connection string share one. */
    readonly pool: (service: ServiceName) => PgClient.PgClient
    /** One statement on a session of that pool, by the short way. */
    readonly query: (service: ServiceName) => PooledQuery
    /** The pool of requests that read lists and pages, for `limitedRead`. Shared in the same way. */
    readonly readers: (service: ServiceName) => PgClient.PgClient
  }
>() {
  /** Connects each of `services`, retrying to the deadline. `embedded` is for those without a connection string in the settings. */
  static readonly layer = (services: ReadonlyArray<ServiceName>, embedded?: Redacted.Redacted) =>
    Layer.scoped(
      Database,
      Effect.gen(function* () {
        const settings = yield* Settings
        const resolve = (url: DatabaseUrl): Redacted.Redacted =>
          Option.getOrThrowWith(
            Option.orElse(url, () => Option.fromNullable(embedded)),
            () => new Error("no DATABASE_URL and no embedded PostgreSQL")
          )
        const endWithin = Duration.times(settings.shutdownDeadline, shutdownShares.pools)
        const pools = new Map<string, Pools>()
        for (const service of services) {
          const url = resolve(settings.databaseUrls[service])
          yield* requireTrustedFiles(url)
          yield* requireTrustedFiles(resolve(settings.migrationDatabaseUrls[service]))
          const key = Redacted.value(url)
          if (pools.has(key)) continue
          const open = (name: keyof typeof poolSizes) => openPool(url, name, endWithin)
          const pool = yield* open("gravitas")
          yield* waitUntilReachable(url, settings.databaseConnectDeadline, openFirst(pool))
          pools.set(key, {
            pool: yield* clientOf(pool),
            query: pooledQuery(pool),
            readers: yield* Effect.flatMap(open("gravitas reader"), clientOf)
          })
        }
        const poolsOf = (service: ServiceName) => {
          const found = pools.get(Redacted.value(resolve(settings.databaseUrls[service])))
          if (found === undefined) throw new Error(`${service} is not one of the services of this process`)
          return found
        }
        return {
          url: (service, purpose) =>
            resolve((purpose === "migration" ? settings.migrationDatabaseUrls : settings.databaseUrls)[service]),
          address: (service) => displayAddress(resolve(settings.databaseUrls[service])),
          pool: (service) => poolsOf(service).pool,
          query: (service) => poolsOf(service).query,
          readers: (service) => poolsOf(service).readers
        }
      })
    ).pipe(Layer.provide(Reactivity.layer))
}
