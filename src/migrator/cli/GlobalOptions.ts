import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { serviceNames } from "../../domain/Service.ts"
import { flag } from "../../platform/cli/Flags.ts"
import { outputOptions } from "../../platform/cli/OutputOptions.ts"
import { parseDuration } from "../../platform/config/Setting.ts"

const refused = (problem: string) => ValidationError.invalidValue(HelpDoc.p(problem))

const duration = (name: string, description: string) =>
  Options.text(name).pipe(
    Options.withDescription(description),
    Options.mapEffect((text) =>
      Effect.mapError(parseDuration(text), () =>
        refused(`--${name} ${JSON.stringify(text)} is not a duration such as 90s or 5m`)
      )
    ),
    Options.optional
  )

const isPostgres = (text: string): boolean => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url !== undefined && /^postgres(ql)?:$/.test(url.protocol) && url.pathname.length > 1
}

/** What every command takes, before its name or after it. */
export const globalOptions = {
  service: Options.choice("service", serviceNames).pipe(
    Options.withDescription("Only this service; may be repeated. Default: all."),
    Options.repeated
  ),
  dryRun: flag("dry-run").pipe(
    Options.withDescription("Print the plan and its statements; run nothing, take no lock.")
  ),
  sql: flag("sql").pipe(
    Options.withDescription(
      "Print a script for a database that is out of reach (upgrade, downgrade); connects to none. The target may be a " +
        "range, such as 0002:head."
    )
  ),
  json: flag("json").pipe(
    Options.withDescription("Print one JSON object on stdout, errors too: { command, exitCode, services: [...] }.")
  ),
  lockWait: duration(
    "lock-wait",
    "How long to wait for another process that migrates, such as 0s or 5m (default 60s)."
  ),
  lockTimeout: duration(
    "lock-timeout",
    "How long a transaction may wait for a table that others use, where its revision does not say (default 2s)."
  ),
  databaseUrl: Options.redacted("database-url").pipe(
    Options.withDescription(
      "The database of every named service, instead of DATABASE_URL and MIGRATION_DATABASE_URL. Others can see it in the " +
        "list of processes; the environment is safer for a password."
    ),
    Options.mapEffect((url) =>
      isPostgres(Redacted.value(url))
        ? Effect.succeed(url)
        : Effect.fail(
            refused(
              "--database-url is no PostgreSQL connection string such as postgresql://role:password@host:5432/name"
            )
          )
    ),
    Options.optional
  ),
  yes: flag("yes").pipe(Options.withDescription("Answer yes where a command would ask.")),
  noColor: outputOptions.noColor
}

export type GlobalOptions = Command.Command.ParseConfig<typeof globalOptions>

/** `migrate` itself; its handler is given where it is mounted. */
export const migrateRoot = Command.make("migrate", globalOptions)

/** The same options from two places, as one. The nearer value counts. */
export const mergeOptions = (outer: GlobalOptions, inner: GlobalOptions) => {
  const chosen = new Set([...outer.service, ...inner.service])
  return {
    services: chosen.size === 0 ? serviceNames : serviceNames.filter((service) => chosen.has(service)),
    dryRun: outer.dryRun || inner.dryRun,
    sql: outer.sql || inner.sql,
    json: outer.json || inner.json,
    lockWait: Option.orElse(inner.lockWait, () => outer.lockWait),
    lockTimeout: Option.orElse(inner.lockTimeout, () => outer.lockTimeout),
    databaseUrl: Option.orElse(inner.databaseUrl, () => outer.databaseUrl),
    yes: outer.yes || inner.yes,
    noColor: outer.noColor || inner.noColor
  }
}

/** What was given, wherever it stood. */
export type CommandOptions = ReturnType<typeof mergeOptions>

/** The options that stand after a command's name, with those that stand before it. */
export const commandOptions = (inner: GlobalOptions) => Effect.map(migrateRoot, (outer) => mergeOptions(outer, inner))

/** What a command that writes history by hand wants to know. Kept in schema_event for those who come later. */
export const reason = Options.text("reason").pipe(
  Options.withDescription('Why, for those who read the event log later: --reason "restored from the backup of …".'),
  Options.map((text) => text.trim()),
  Options.optional,
  Options.map(Option.filter((text) => text !== ""))
)
