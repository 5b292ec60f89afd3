import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { serviceNames } from "../../domain/Service.ts"
import { flag, outputOptions } from "../../platform/cli/Flags.ts"
import { parseDuration } from "../../platform/config/Setting.ts"
import type { MigratedService } from "../files/MigrationFiles.ts"

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

/** The options that every command accepts, before its name or after it. */
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
      "Print a script for a database that cannot be reached from here (upgrade, downgrade). The target may be a " +
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
    "How long a transaction may wait for a table in use, if its revision does not say (default 2s)."
  ),
  databaseUrl: Options.redacted("database-url").pipe(
    Options.withDescription(
      "The database of every named service, instead of DATABASE_URL and MIGRATION_DATABASE_URL. Other users can see it in the " +
        "list of processes; the environment is safer for a password."
    ),
    Options.mapEffect((url) =>
      isPostgres(Redacted.value(url))
        ? Effect.succeed(url)
        : Effect.fail(
            refused(
              "--database-url is not a PostgreSQL connection string such as postgresql://role:password@host:5432/name"
            )
          )
    ),
    Options.optional
  ),
  yes: flag("yes").pipe(Options.withDescription("Answer yes to every question.")),
  noColor: outputOptions.noColor
}

export type GlobalOptions = Command.Command.ParseConfig<typeof globalOptions>

/** `migrate` itself; Commands.ts adds its handler. */
export const migrateRoot = Command.make("migrate", globalOptions)

/** The services of the program, in start order. */
export class MigratedServices extends Context.Tag("migrator/cli/MigratedServices")<
  MigratedServices,
  ReadonlyArray<MigratedService>
>() {}

/** Merges the options before a command's name (`outer`) with those after it, which win. No `--service` means `all`. */
export const mergeOptions = (all: ReadonlyArray<MigratedService>, outer: GlobalOptions, inner: GlobalOptions) => {
  const chosen = new Set([...outer.service, ...inner.service])
  return {
    services: chosen.size === 0 ? all : all.filter(({ name }) => chosen.has(name)),
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

/** The merged options of a command. */
export type CommandOptions = ReturnType<typeof mergeOptions>

/** Adds the options before the command's name to those after it. */
export const commandOptions = (inner: GlobalOptions) =>
  Effect.zipWith(MigratedServices, migrateRoot, (all, outer) => mergeOptions(all, outer, inner))

/** Why a command changes the history by hand. Recorded in schema_event. */
export const reason = Options.text("reason").pipe(
  Options.withDescription('The reason, recorded in the event log: --reason "restored from the backup of …".'),
  Options.map((text) => text.trim()),
  Options.optional,
  Options.map(Option.filter((text) => text !== ""))
)
