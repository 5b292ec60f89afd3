import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Record from "effect/Record"
import * as Redacted from "effect/Redacted"
import { type ServiceName, serviceNames } from "../../domain/Service.ts"
import {
  type CommandError,
  type CommandRefused,
  runForEachService,
  type ServicesRun,
  wrongUsage
} from "../../platform/cli/CommandRunner.ts"
import { flag, outputOptions, quotedWord } from "../../platform/cli/Flags.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import { isPostgresUrl, parseDuration, postgresUrl } from "../../platform/config/Setting.ts"
import type { Database } from "../../platform/postgres/Database.ts"
import type { MigratedService } from "../files/RevisionSet.ts"
import { withMigratorOptions } from "../MigratorOptions.ts"
import { type OfflineRange, parseRange, type Target } from "../plan/Target.ts"

const refused = (problem: string) => ValidationError.invalidValue(HelpDoc.p(problem))

const duration = (name: string, description: string) =>
  Options.text(name).pipe(
    Options.withPseudoName("duration"),
    Options.withDescription(description),
    Options.mapEffect((text) =>
      Effect.mapError(parseDuration(text), () =>
        refused(`--${name} ${JSON.stringify(text)} is not a duration such as 90s or 5m`)
      )
    ),
    Options.optional
  )

/** A flag with its help. */
export const describedFlag = (name: Parameters<typeof flag>[0], description: string) =>
  flag(name).pipe(Options.withDescription(description))

/** The options that every command accepts, before its name or after it. */
export const globalOptions = {
  service: Options.choice("service", serviceNames).pipe(
    Options.withDescription("Only this service; may be repeated. Default: all."),
    Options.repeated
  ),
  dryRun: describedFlag("dry-run", "Print the plan and its statements; run nothing, take no lock."),
  sql: describedFlag(
    "sql",
    "Print a script for a database that cannot be reached from here (upgrade, downgrade). The target may be a " +
      "range, such as 0002:head."
  ),
  json: describedFlag("json", "Print one JSON object on stdout, errors too: { command, exitCode, services: [...] }."),
  lockWait: duration(
    "lock-wait",
    "How long to wait for another process that migrates, such as 0s or 5m (default 60s)."
  ),
  lockTimeout: duration(
    "lock-timeout",
    "How long a transaction may wait for a table in use, if its revision does not say (default 2s)."
  ),
  databaseUrl: Options.redacted("database-url").pipe(
    Options.withPseudoName("url"),
    Options.withDescription(
      "The database of every named service, instead of DATABASE_URL and MIGRATION_DATABASE_URL. Other users can see it in the " +
        "list of processes; the environment is safer for a password."
    ),
    Options.mapEffect((url) =>
      isPostgresUrl(Redacted.value(url))
        ? Effect.succeed(url)
        : Effect.fail(
            refused(`--database-url: expected ${postgresUrl}; such as postgresql://role:password@host:5432/name`)
          )
    ),
    Options.optional
  ),
  verbose: describedFlag(
    "verbose",
    "Log notices of the server (raise notice) too; warnings always are. With --json all are in the result."
  ),
  yes: describedFlag("yes", "Answer yes to every question."),
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
export const mergeOptions = (
  command: string,
  all: ReadonlyArray<MigratedService>,
  outer: GlobalOptions,
  inner: GlobalOptions
) => {
  const chosen = new Set([...outer.service, ...inner.service])
  return {
    command,
    services: chosen.size === 0 ? all : all.filter(({ name }) => chosen.has(name)),
    dryRun: outer.dryRun || inner.dryRun,
    sql: outer.sql || inner.sql,
    json: outer.json || inner.json,
    lockWait: Option.orElse(inner.lockWait, () => outer.lockWait),
    lockTimeout: Option.orElse(inner.lockTimeout, () => outer.lockTimeout),
    databaseUrl: Option.orElse(inner.databaseUrl, () => outer.databaseUrl),
    verbose: outer.verbose || inner.verbose,
    yes: outer.yes || inner.yes,
    noColor: outer.noColor || inner.noColor
  }
}

/** A command's name and its merged options. */
export type CommandOptions = ReturnType<typeof mergeOptions>

/** Makes a command that accepts its own options and the global ones. The help is what it does, then command lines to type. */
export const subcommand = <Name extends string, Own extends Command.Command.Config, E, R>(
  name: Name,
  own: Own,
  help: Parameters<typeof helpOf>,
  run: (options: CommandOptions, own: Command.Command.ParseConfigValue<Own>) => Effect.Effect<void, E, R>
) =>
  Command.make(name, { ...globalOptions, own }, ({ own, ...inner }) =>
    Effect.zipWith(MigratedServices, migrateRoot, (all, outer) => mergeOptions(name, all, outer, inner)).pipe(
      Effect.flatMap((options) => run(options, own))
    )
  ).pipe(Command.withDescription(helpOf(...help)))

/** Why a command changes the history by hand. Recorded in schema_event. */
export const reason = Options.text("reason").pipe(
  Options.withDescription('The reason, recorded in the event log: --reason "restored from the backup of …".'),
  Options.map((text) => text.trim()),
  Options.optional,
  Options.map(Option.filter((text) => text !== ""))
)

/** Opens the databases of the services that a command works on; `url` replaces all their connection strings. */
export class Databases extends Context.Tag("migrator/cli/Databases")<
  Databases,
  {
    readonly open: (
      services: ReadonlyArray<ServiceName>,
      url: Option.Option<Redacted.Redacted>
    ) => Layer.Layer<Database, CommandError>
  }
>() {}

interface DatabaseCommandRun<A, E, R> extends Omit<ServicesRun<MigratedService, A, E, R>, keyof CommandOptions> {
  /** Default `writes`: such a command refuses `--dry-run`. */
  readonly effects?: "reads" | "writes"
}

const misfit = ({ command, dryRun, sql }: CommandOptions, effects: "reads" | "writes"): CommandRefused | null =>
  sql
    ? wrongUsage(`${command} cannot be rendered as a script; --sql goes with upgrade, downgrade and bare migrate`)
    : dryRun && effects === "writes"
      ? wrongUsage(`${command} has no --dry-run; nothing was run`)
      : null

/** Runs an effect with the limits that the options set. */
export const withLimits = ({ lockTimeout, lockWait, verbose }: CommandOptions) =>
  withMigratorOptions({ ...Record.getSomes({ lockTimeout, lockWait }), verbose })

/** Runs a command on databases: opens those of its services, then runs `before` once and `run.work` for each service. */
export const onDatabase = <A, E extends CommandError, R>(
  options: CommandOptions,
  run: DatabaseCommandRun<A, E, R>,
  before: Effect.Effect<unknown, E, R> = Effect.void
) =>
  Effect.flatMap(Databases, ({ open }) => {
    const names = options.services.map(({ name }) => name)
    const refusal = run.refusal ?? misfit(options, run.effects ?? "writes")
    return runForEachService({ ...options, ...run, refusal }, (all) =>
      Effect.zipRight(before, all).pipe(withLimits(options), Effect.provide(open(names, options.databaseUrl)))
    )
  })

/** A result for JSON: a problem is its message. */
export const withProblemText = <A extends { readonly problem: Error | null }>({ problem, ...result }: A) => ({
  ...result,
  problem: problem === null ? null : problem.message
})

/** The target of a command; for a script (`--sql`) also where it begins. */
export interface Destination {
  readonly from: Option.Option<Target>
  readonly to: Target
}

const ofRange = ({ from, to }: OfflineRange): Destination => ({ from: Option.some(from), to })

/** The target as the argument of a command. `expected` completes "is not a target; expected …". */
export const targetArgument = (parse: (text: string) => Option.Option<Target>, expected: string) =>
  Args.text({ name: "target" }).pipe(
    Args.withDescription(`${expected}; with --sql also a range, from:to`),
    Args.mapEffect((text) =>
      Option.map(parse(text), (to): Destination => ({ from: Option.none(), to })).pipe(
        Option.orElse(() => Option.map(parseRange(text, parse), ofRange)),
        Effect.mapError(() => HelpDoc.p(`${quotedWord(text)} is not a target; expected ${expected}`))
      )
    )
  )

const names = (to: Target): boolean => (to._tag === "UpTo" || to._tag === "DownTo") && to.number > 0

/** Refuses several services; `what` says why. */
export const refuseSeveral = ({ services }: CommandOptions, what: string): CommandRefused | null =>
  services.length > 1 ? wrongUsage(`${what}, for example --service gatekeeper`) : null

/** Why a command on a revision refuses several services. */
export const revisionOfOne = "a revision belongs to one service; name it"

/** Refuses several services for a target that names a revision; `head`, `base`, +N and -N are valid for all of them. */
export const needsOneService = (options: CommandOptions, to: Target): CommandRefused | null =>
  names(to) ? refuseSeveral(options, revisionOfOne) : null

/** Why the target is not valid, as far as that is known without a database. */
export const misplaced = (options: CommandOptions, { from, to }: Destination): CommandRefused | null =>
  Option.match(from, {
    onNone: () => needsOneService(options, to),
    onSome: (start) =>
      options.sql
        ? (needsOneService(options, start) ?? needsOneService(options, to))
        : wrongUsage("a range is for --sql; without it a command begins at the current revision")
  })
