import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type { ServiceName } from "../../domain/Service.ts"
import { type CommandRefused, wrongUsage } from "../../platform/cli/CommandRefused.ts"
import { type CommandError, runForEachService, type ServicesRun } from "../../platform/cli/CommandRunner.ts"
import type { Database } from "../../platform/postgres/Database.ts"
import { MigratorOptions } from "../MigratorOptions.ts"
import type { CommandOptions } from "./GlobalOptions.ts"

/** How the program opens the databases of the services that a command is about; all of them at `url`, where one is given. */
export class Databases extends Context.Tag("migrator/Databases")<
  Databases,
  {
    readonly open: (
      services: ReadonlyArray<ServiceName>,
      url: Option.Option<Redacted.Redacted>
    ) => Layer.Layer<Database, CommandError>
  }
>() {}

export interface DatabaseCommandRun<A, E, R> extends Omit<ServicesRun<A, E, R>, "json" | "services" | "noColor"> {
  /** `writes` unless it says that it only reads: what may change a database never gets as far with `--dry-run`. */
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

/** A command that works in a database: opens those of its services, then runs `before` once and `run.work` for each. */
export const onDatabase = <A, E extends CommandError, R>(
  given: CommandOptions,
  run: DatabaseCommandRun<A, E, R>,
  before: Effect.Effect<unknown, E, R> = Effect.void
) =>
  Effect.gen(function* () {
    const { databaseUrl, lockTimeout, lockWait, services } = given
    const defaults = yield* MigratorOptions
    const { open } = yield* Databases
    const refusal = run.refusal ?? misfit(given, run.command, run.effects ?? "writes")
    return yield* runForEachService({ ...run, refusal, json: given.json, noColor: given.noColor, services }, (all) =>
      Effect.zipRight(before, all).pipe(
        Effect.provideService(MigratorOptions, {
          ...defaults,
          lockWait: Option.getOrElse(lockWait, () => defaults.lockWait),
          lockTimeout: Option.getOrElse(lockTimeout, () => defaults.lockTimeout)
        }),
        Effect.provide(open(services, databaseUrl))
      )
    )
  })
