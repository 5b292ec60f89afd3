import type * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Record from "effect/Record"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { defaultPorts, type ServiceName, serviceNames } from "../../domain/Service.ts"
import { type InsecureName, insecureNames } from "./InsecureSettings.ts"
import * as Setting from "./Setting.ts"
import { telemetrySettings } from "./TelemetrySettings.ts"

/** Each refused variable with what was expected; the process must not start on a guess. */
export class SettingsRefused extends Schema.TaggedError<SettingsRefused>()("SettingsRefused", {
  problems: Schema.Array(Schema.Struct({ name: Schema.String, problem: Schema.String }))
}) {
  override get message(): string {
    const lines = this.problems.map(({ name, problem }) => `  ${name}: ${problem}`)
    return `Settings refused. Correct the environment (or .env) and start again:\n${lines.join("\n")}`
  }
}

const problemsOf = (error: ConfigError.ConfigError): ReadonlyArray<{ name: string; problem: string }> => {
  switch (error._op) {
    case "And":
    case "Or":
      return [...problemsOf(error.left), ...problemsOf(error.right)]
    default:
      return [{ name: error.path.join("."), problem: error.message }]
  }
}

/** Reads settings. Fails with every variable that is refused, each once. */
export const readSettings = <A>(config: Config.Config<A>): Effect.Effect<A, SettingsRefused> =>
  Effect.mapError(config, (error) => {
    const problems = new Map(problemsOf(error).map((problem) => [problem.name + problem.problem, problem]))
    return new SettingsRefused({ problems: [...problems.values()] })
  })

/** A database connection of a service; None means the embedded PostgreSQL. */
export type DatabaseUrl = Option.Option<Redacted.Redacted>

export type SettingsValues = Setting.Value<typeof settings>

/** Files in PEM. */
export interface TlsFiles {
  readonly certificate: string
  readonly key: string
  /** The CA of client certificates; None: clients need none. */
  readonly clientCa: Option.Option<string>
}

const environments = { development: "development", dev: "development", test: "test", production: "production" } as const

export const environment = Setting.choice("NODE_ENV", ["development", "dev", "test", "production"], "production").pipe(
  Setting.orDefault("development"),
  Setting.map((name) => environments[name])
)

/** As given: relative to the working directory. Also for commands that need no other setting. */
export const home = Setting.text("GRAVITAS_HOME", { expected: "a directory", example: ".gravitas" }).pipe(
  Setting.orDefault(".gravitas")
)

export const host = Setting.text("HOST", { expected: "an address to listen on", example: "127.0.0.1" }).pipe(
  Setting.orDefault("127.0.0.1")
)

export const authDisabled = Setting.flag("AUTH_DISABLED", "false")

const pemFile = (name: string, example: string) => Setting.text(name, { expected: "a file in PEM", example })

const tls = Setting.all({
  certificate: pemFile("TLS_CERT_FILE", "/etc/gravitas/tls.crt"),
  key: pemFile("TLS_KEY_FILE", "/etc/gravitas/tls.key"),
  clientCa: pemFile("TLS_CLIENT_CA_FILE", "/etc/gravitas/clients-ca.crt")
}).pipe(
  Setting.mapOrFail(({ certificate, clientCa, key }) => {
    if (Option.isSome(certificate) && Option.isSome(key)) {
      const files: TlsFiles = { certificate: certificate.value, key: key.value, clientCa }
      return Either.right(Option.some(files))
    }
    if (Option.isSome(certificate))
      return Setting.refused("TLS_KEY_FILE", "is needed with TLS_CERT_FILE: its private key")
    if (Option.isSome(key)) return Setting.refused("TLS_CERT_FILE", "is needed with TLS_KEY_FILE: its certificate")
    return Option.isSome(clientCa)
      ? Setting.refused(
          "TLS_CERT_FILE",
          "is needed with TLS_CLIENT_CA_FILE: clients show a certificate only to a server that has one"
        )
      : Either.right(Option.none<TlsFiles>())
  })
)

const listOf =
  <A>(parse: (one: string) => Option.Option<A>) =>
  (given: string) =>
    Option.all(given.split(",").map((one) => parse(one.trim())))

const hostName = /^[a-z0-9._-]+$|^\[[0-9a-f:.]+\]$/

const ports = Setting.all(
  Record.map(defaultPorts, (port, service) =>
    Setting.port(`${service.toUpperCase()}_PORT`, port).pipe(Setting.orDefault(port))
  )
)

type Purpose = "application" | "migration"

const urlsOf = (service: ServiceName) =>
  Setting.all({
    own: Setting.databaseUrl(`${service.toUpperCase()}_DATABASE_URL`),
    common: Setting.databaseUrl("DATABASE_URL"),
    ownMigration: Setting.databaseUrl(`${service.toUpperCase()}_MIGRATION_DATABASE_URL`),
    commonMigration: Setting.databaseUrl("MIGRATION_DATABASE_URL")
  }).pipe(
    Setting.map(
      ({ own, common, ownMigration, commonMigration }): Readonly<Record<Purpose, DatabaseUrl>> => ({
        application: Option.firstSomeOf([own, common]),
        // The role that owns the schema; by default the application's.
        migration: Option.firstSomeOf([ownMigration, commonMigration, own, common])
      })
    )
  )

const levels = {
  trace: "Trace",
  debug: "Debug",
  info: "Info",
  warning: "Warning",
  error: "Error",
  none: "None"
} as const

const settings = Setting.all({
  environment,
  home,
  host,
  ports,
  /** What the ports prove themselves with; None: they speak plain HTTP. */
  tls,
  /** Names by which browsers may reach the services, besides those of this machine. */
  allowedHosts: Setting.setting(
    "ALLOWED_HOSTS",
    { expected: "host names without ports, separated by commas", example: "gravitas.example,10.0.0.5" },
    listOf((one) => Option.liftPredicate(one.toLowerCase(), (name) => hostName.test(name)))
  ).pipe(Setting.orDefault([])),
  /** Callers are not authenticated; gatekeeper/GatekeeperSettings says where that is allowed. */
  authDisabled,
  /** Insecure settings that production starts with all the same. */
  allowInsecure: Setting.setting(
    "ALLOW_INSECURE",
    { expected: `some of ${insecureNames.join(", ")}, separated by commas`, example: "embedded-postgres" },
    listOf((one) => Option.fromNullable(insecureNames.find((name) => name === one)))
  ).pipe(Setting.map(Option.getOrElse((): ReadonlyArray<InsecureName> => []))),
  httpMaximumConnections: Setting.integer(
    "HTTP_MAX_CONNECTIONS",
    { min: 1, max: 100_000 },
    { expected: "a number of connections", example: "1000" }
  ).pipe(Setting.orDefault(1_000)),
  httpRequestTimeout: Setting.duration("HTTP_REQUEST_TIMEOUT", { min: "1 second", max: "1 hour" }, "30s").pipe(
    Setting.orDefault(Duration.seconds(30))
  ),
  trustedProxies: Setting.networks("TRUSTED_PROXIES").pipe(
    Setting.map(Option.getOrElse((): ReadonlyArray<string> => []))
  ),
  urls: Setting.all(Record.map(defaultPorts, (_, service) => urlsOf(service))),
  databaseAuth: Setting.choice("DATABASE_AUTH", ["scram", "scram,md5"], "scram,md5"),
  /** Of the embedded PostgreSQL on the loopback address, for other programs. */
  embeddedPostgresPort: Setting.integer(
    "EMBEDDED_POSTGRES_PORT",
    { min: 1, max: 65_535 },
    { expected: "a TCP port from 1 to 65535", example: "5433" }
  ),
  /** What a service does about its schema before it opens its port; see migrator/Migrator.ts. */
  migrateOnStart: Setting.choice("MIGRATE_ON_START", ["upgrade", "verify", "off"], "verify").pipe(
    Setting.orDefault("upgrade")
  ),
  databaseConnectDeadline: Setting.duration(
    "DATABASE_CONNECT_DEADLINE",
    { min: "100 millis", max: "1 hour" },
    "30s"
  ).pipe(Setting.orDefault(Duration.seconds(30))),
  /** How long the process answers after the signal before it begins to stop; `/readyz` says 503 meanwhile. */
  shutdownDelay: Setting.duration("SHUTDOWN_DELAY", { min: 0, max: "10 minutes" }, "10s").pipe(
    Setting.orDefault(Duration.zero, "0s")
  ),
  /** From the end of that delay to the end of the process. */
  shutdownDeadline: Setting.duration("SHUTDOWN_DEADLINE", { min: "1 second", max: "1 hour" }, "25s").pipe(
    Setting.orDefault(Duration.seconds(25))
  ),
  log: Setting.all({
    level: Setting.choice("LOG_LEVEL", ["trace", "debug", "info", "warning", "error", "none"], "info").pipe(
      Setting.orDefault("info"),
      Setting.map((name): LogLevel.Literal => levels[name])
    ),
    /** `auto`: pretty on a terminal, JSON otherwise. */
    format: Setting.choice("LOG_FORMAT", ["auto", "pretty", "json"], "json").pipe(Setting.orDefault("auto"))
  }),
  telemetry: telemetrySettings
}).pipe(
  Setting.map(({ databaseAuth, urls, ...rest }) => ({
    ...rest,
    /** `md5`: also without verified TLS. */
    databaseAuth: {
      md5: Option.getOrElse(databaseAuth, () => (rest.environment === "production" ? "scram" : "scram,md5")) !== "scram"
    },
    databaseUrls: Record.map(urls, ({ application }) => application),
    migrationDatabaseUrls: Record.map(urls, ({ migration }) => migration)
  }))
)

/** The settings of the process itself. Those of a room are beside its layer, such as audit/AuditSettings. */
export class Settings extends Context.Tag("platform/config/Settings")<Settings, SettingsValues>() {
  static readonly config = settings
  static readonly layer = Layer.effect(Settings, readSettings(settings))
}

/** The services whose application or migration connection is the embedded PostgreSQL. */
export const embeddedServices = (settings: SettingsValues): ReadonlyArray<ServiceName> =>
  serviceNames.filter(
    (service) => Option.isNone(settings.databaseUrls[service]) || Option.isNone(settings.migrationDatabaseUrls[service])
  )

/**
 * The shares of `SHUTDOWN_DEADLINE`, in the order of a stop. They add up to 1 (a server's counts three times), so the last part
 * has its time even if every part before it used all of its own.
 */
export const shutdownShares = {
  /** Each of three servers: finishing what is in flight. */
  server: 0.1,
  /** Writing the recorded events and signing off. */
  trail: 0.4,
  /** Closing the pools. */
  pools: 0.05,
  /** Sending the last spans, metrics and log lines. */
  telemetry: 0.05,
  /** The embedded PostgreSQL's own orderly stop. */
  postgres: 0.2
} as const
