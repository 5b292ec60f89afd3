import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type CommandRefused, runForEachService } from "../../platform/cli/CommandRunner.ts"
import { renderScript } from "../apply/OfflineScript.ts"
import { MigratorOptions } from "../MigratorOptions.ts"
import type { Target } from "../plan/Target.ts"
import type { CommandOptions } from "./GlobalOptions.ts"

/** Prints the scripts of all named services (`--sql`), or none if one fails. Opens no database. */
export const printScript = (
  options: CommandOptions,
  command: string,
  from: Target,
  to: Target,
  refusal: CommandRefused | null
) =>
  Effect.flatMap(MigratorOptions, (defaults) => {
    const { json, lockTimeout, noColor, services } = options
    return runForEachService(
      {
        command,
        services,
        json,
        noColor,
        allOrNothing: true,
        work: (service) => renderScript(service, from, to),
        render: (scripts) => scripts.map(({ script }) => script).join("\n\n"),
        refusal
      },
      Effect.provideService(MigratorOptions, {
        ...defaults,
        lockTimeout: Option.getOrElse(lockTimeout, () => defaults.lockTimeout)
      })
    )
  })
