import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { type ServiceName, serviceNames } from "../../domain/Service.ts"
import { type TelemetrySettings, telemetrySettings } from "../telemetry/TelemetrySettings.ts"
import { type AuditSettings, auditSettings } from "./AuditSettings.ts"
import {
  accessPolicyPath,
  authDisabledProblem,
  type GatekeeperSettings,
  gatekeeperSettings
} from "./GatekeeperSettings.ts"
import { type GuardianSettings, guardianSettings } from "./GuardianSettings.ts"
import { type RouterSettings, routerSettings } from "./RouterSettings.ts"
import * as Setting from "./Setting.ts"
import { issuerProblem, type TokenSettings, tokenSettings } from "./TokenSettings.ts"

/** What a service does about its schema before it opens its port; see migrator/Migrator.ts. */
export type MigrateOnStart = "upgrade" | "verify" | "off"

/** A database connection of a service; None means the embedded PostgreSQL. */
export type DatabaseUrl = Option.Option<Redacted.Redacted>

export interface SettingsValues {
  readonly environment: "development" | "production" | "test"
  /** As given: relative to the working directory. */
  readonly home: string
  readonly host: string
  readonly ports: Readonly<Record<ServiceName, number>>
  /** Where services that run elsewhere are; None: in this process, or on this machine at its default port. */
  readonly peerUrls: Readonly<Record<"gatekeeper" | "guardian", Option.Option<string>>>
  /** How long a peer may take to answer; then whoever asked refuses. */
  readonly peerTimeout: Duration.Duration
  readonly databaseUrls: Readonly<Record<ServiceName, DatabaseUrl>>
  /** The role that owns the schema; by default the application's. */
  readonly migrationDatabaseUrls: Readonly<Record<ServiceName, DatabaseUrl>>
  readonly migrateOnStart: MigrateOnStart
  readonly databaseConnectDeadline: Duration.Duration
  readonly jwt: TokenSettings
  readonly gatekeeper: GatekeeperSettings
  /** Of a process that asks the gatekeeper in its own name; None: it makes its own. */
  readonly serviceToken: Option.Option<Redacted.Redacted>
  readonly accessPolicyPath: string
  readonly audit: AuditSettings
  readonly guardian: GuardianSettings
  readonly router: RouterSettings
  /** From the signal to the end of the process. */
  readonly shutdownDeadline: Duration.Duration
  readonly log: {
    readonly level: LogLevel.Literal
    /** `auto`: pretty on a terminal, JSON otherwise. */
    readonly format: "auto" | "pretty" | "json"
  }
  readonly telemetry: TelemetrySettings
}

const defaultPorts: Readonly<Record<ServiceName, number>> = { gatekeeper: 8001, guardian: 8003, router: 8004 }

const perService = <A>(config: (service: ServiceName) => Config.Config<A>): Config.Config<Record<ServiceName, A>> =>
  Config.all({ gatekeeper: config("gatekeeper"), guardian: config("guardian"), router: config("router") })

const firstGiven = (...urls: ReadonlyArray<DatabaseUrl>): DatabaseUrl => Option.firstSomeOf(urls)

const urlsOf = (service: ServiceName) =>
  Config.all({
    own: Setting.databaseUrl(`${service.toUpperCase()}_DATABASE_URL`),
    common: Setting.databaseUrl("DATABASE_URL"),
    ownMigration: Setting.databaseUrl(`${service.toUpperCase()}_MIGRATION_DATABASE_URL`),
    commonMigration: Setting.databaseUrl("MIGRATION_DATABASE_URL")
  }).pipe(
    Config.map(({ own, common, ownMigration, commonMigration }) => ({
      application: firstGiven(own, common),
      migration: firstGiven(ownMigration, commonMigration, own, common)
    }))
  )

const levels = {
  trace: "Trace",
  debug: "Debug",
  info: "Info",
  warning: "Warning",
  error: "Error",
  none: "None"
} as const

const environments = { development: "development", dev: "development", test: "test", production: "production" } as const

const text = (name: string, expected: string, example: string) => Setting.text(name, { expected, example })

const config: Config.Config<SettingsValues> = Config.all({
  environment: Setting.choice("NODE_ENV", ["development", "dev", "test", "production"], "production").pipe(
    Setting.orDefault("development"),
    Config.map((name) => environments[name])
  ),
  home: text("GRAVITAS_HOME", "a directory", ".gravitas").pipe(Setting.orDefault(".gravitas")),
  host: text("HOST", "an address to listen on", "127.0.0.1").pipe(Setting.orDefault("127.0.0.1")),
  ports: perService((service) =>
    Setting.port(`${service.toUpperCase()}_PORT`, defaultPorts[service]).pipe(Setting.orDefault(defaultPorts[service]))
  ),
  peerUrls: Config.all({
    gatekeeper: Setting.origin("GATEKEEPER_URL", "http://127.0.0.1:8001"),
    guardian: Setting.origin("GUARDIAN_URL", "http://127.0.0.1:8003")
  }),
  peerTimeout: Setting.duration("PEER_TIMEOUT", { min: "10 millis", max: "1 minute" }, "2s").pipe(
    Setting.orDefault(Duration.seconds(2))
  ),
  urls: perService(urlsOf),
  migrateOnStart: Setting.choice("MIGRATE_ON_START", ["upgrade", "verify", "off"], "verify").pipe(
    Setting.orDefault("upgrade")
  ),
  databaseConnectDeadline: Setting.duration(
    "DATABASE_CONNECT_DEADLINE",
    { min: "100 millis", max: "1 hour" },
    "30s"
  ).pipe(Setting.orDefault(Duration.seconds(30))),
  jwt: tokenSettings,
  gatekeeper: gatekeeperSettings,
  serviceToken: Setting.secret(
    "SERVICE_TOKEN",
    { expected: "a bearer token, without the word Bearer", example: "eyJhbGciOi…" },
    (given) => /^[A-Za-z0-9\-._~+/]+=*$/.test(given)
  ),
  accessPolicyPath,
  audit: auditSettings,
  guardian: guardianSettings,
  router: routerSettings,
  shutdownDeadline: Setting.duration("SHUTDOWN_DEADLINE", { min: "1 second", max: "1 hour" }, "25s").pipe(
    Setting.orDefault(Duration.seconds(25))
  ),
  log: Config.all({
    level: Setting.choice("LOG_LEVEL", ["trace", "debug", "info", "warning", "error", "none"], "info").pipe(
      Setting.orDefault("info"),
      Config.map((name): LogLevel.Literal => levels[name])
    ),
    format: Setting.choice("LOG_FORMAT", ["auto", "pretty", "json"], "json").pipe(Setting.orDefault("auto"))
  }),
  telemetry: telemetrySettings
}).pipe(
  Config.mapOrFail((given) => {
    const refusal = (name: string, problem: string) => Either.left(ConfigError.InvalidData([name], problem))
    const open = given.gatekeeper.authDisabled ? authDisabledProblem(given.environment, given.host) : undefined
    if (open !== undefined) return refusal("AUTH_DISABLED", open)
    const unbound = issuerProblem(given.environment, given.jwt)
    return unbound === undefined ? Either.right(given) : refusal(...unbound)
  }),
  Config.map(({ urls, ...rest }) => ({
    ...rest,
    databaseUrls: {
      gatekeeper: urls.gatekeeper.application,
      guardian: urls.guardian.application,
      router: urls.router.application
    },
    migrationDatabaseUrls: {
      gatekeeper: urls.gatekeeper.migration,
      guardian: urls.guardian.migration,
      router: urls.router.migration
    }
  }))
)

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

/** Every setting of the process, read once from the environment. */
export class Settings extends Context.Tag("platform/config/Settings")<Settings, SettingsValues>() {
  static readonly layer: Layer.Layer<Settings, SettingsRefused> = Layer.effect(
    Settings,
    Effect.mapError(config, (error) => {
      const problems = new Map(problemsOf(error).map((problem) => [problem.name + problem.problem, problem]))
      return new SettingsRefused({ problems: [...problems.values()] })
    })
  )
}

/** The services whose application or migration connection is the embedded PostgreSQL. */
export const embeddedServices = (settings: SettingsValues): ReadonlyArray<ServiceName> =>
  serviceNames.filter(
    (service) => Option.isNone(settings.databaseUrls[service]) || Option.isNone(settings.migrationDatabaseUrls[service])
  )
