import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type { ServiceName } from "../../domain/Service.ts"
import {
  type CommandError,
  type CommandRefused,
  runForEachService,
  type ServicesRun,
  wrongUsage
} from "../../platform/cli/CommandRunner.ts"
import type { Database } from "../../platform/postgres/Database.ts"
import type { MigratedService } from "../files/MigrationFiles.ts"
import { MigratorOptions } from "../MigratorOptions.ts"
import type { CommandOptions } from "./GlobalOptions.ts"

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

export interface DatabaseCommandRun<A, E, R>
  extends Omit<ServicesRun<MigratedService, A, E, R>, "json" | "services" | "noColor"> {
  /** Default `writes`: such a command refuses `--dry-run`. */
  readonly effects?: "reads" | "writes"
}

const misfit = (
  { dryRun, sql }: CommandOptions,
  command: string,
  effects: "reads" | "writes"
): CommandRefused | null =>
  sql
    ? wrongUsage(`${command} cannot be rendered as a script; --sql goes with upgrade, downgrade and bare migrate`)
    : dryRun && effects === "writes"
      ? wrongUsage(`${command} has no --dry-run; nothing was run`)
      : null

/** Runs a command on databases: opens those of its services, then runs `before` once and `run.work` for each service. */
export const onDatabase = <A, E extends CommandError, R>(
  options: CommandOptions,
  run: DatabaseCommandRun<A, E, R>,
  before: Effect.Effect<unknown, E, R> = Effect.void
) =>
  Effect.gen(function* () {
    const { databaseUrl, lockTimeout, lockWait, services } = options
    const defaults = yield* MigratorOptions
    const { open } = yield* Databases
    const refusal = run.refusal ?? misfit(options, run.command, run.effects ?? "writes")
    return yield* runForEachService(
      { ...run, refusal, json: options.json, noColor: options.noColor, services },
      (all) =>
        Effect.zipRight(before, all).pipe(
          Effect.provideService(MigratorOptions, {
            ...defaults,
            lockWait: Option.getOrElse(lockWait, () => defaults.lockWait),
            lockTimeout: Option.getOrElse(lockTimeout, () => defaults.lockTimeout)
          }),
          Effect.provide(
            open(
              services.map(({ name }) => name),
              databaseUrl
            )
          )
        )
    )
  })
