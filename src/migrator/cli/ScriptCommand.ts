import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { CommandRefused } from "../../platform/cli/CommandRefused.ts"
import { runForEachService } from "../../platform/cli/CommandRunner.ts"
import { MigratorOptions } from "../MigratorOptions.ts"
import { renderScript } from "../offline/OfflineScript.ts"
import type { Target } from "../plan/Plan.ts"
import type { Given } from "./GlobalOptions.ts"

/** `--sql`: the scripts of all named services, one after the other, or none of them. Opens no database. */
export const printScript = (given: Given, command: string, from: Target, to: Target, refusal: CommandRefused | null) =>
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
