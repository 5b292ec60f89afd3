import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { CommandRefused } from "../../platform/cli/CommandRefused.ts"
import { runForEachService } from "../../platform/cli/CommandRunner.ts"
import { renderScript } from "../apply/OfflineScript.ts"
import { MigratorOptions } from "../MigratorOptions.ts"
import type { Target } from "../plan/Target.ts"
import type { CommandOptions } from "./GlobalOptions.ts"

/** `--sql`: the scripts of all named services, one after the other, or none of them. Opens no database. */
export const printScript = (
  given: CommandOptions,
  command: string,
  from: Target,
  to: Target,
  refusal: CommandRefused | null
) =>
  Effect.flatMap(MigratorOptions, (defaults) => {
    const { json, lockTimeout, noColor, services } = given
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
