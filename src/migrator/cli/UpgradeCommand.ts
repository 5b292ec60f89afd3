import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { helpOf } from "../../platform/cli/Help.ts"
import { grantGroupAfter } from "../apply/Grants.ts"
import { migrate } from "../apply/Migrate.ts"
import { parseUpgrade, Target } from "../plan/Target.ts"
import { onDatabase } from "./DatabaseCommand.ts"
import { dryRun, renderDryRuns } from "./DryRun.ts"
import { type CommandOptions, commandOptions, globalOptions } from "./GlobalOptions.ts"
import { outcomeJson, renderOutcomes } from "./Rendering.ts"
import { printScript } from "./ScriptCommand.ts"
import { type Destination, misplaced, targetArgument } from "./TargetArgument.ts"

/** Upgrades the services to `to`, one after the other, or shows how it would (`--dry-run`, `--sql`). */
export const upgrade = (options: CommandOptions, { from, to }: Destination) => {
  const refusal = misplaced(options, { from, to })
  const command = "upgrade"
  if (options.sql) {
    const start = Option.getOrElse(from, () => Target.DownTo({ number: 0, slug: null }))
    return printScript(options, command, start, to, refusal)
  }
  return options.dryRun
    ? onDatabase(options, {
        command,
        refusal,
        effects: "reads",
        work: (service) => dryRun(service, to),
        render: renderDryRuns
      })
    : onDatabase(options, {
        command,
        refusal,
        work: (service) => Effect.zipLeft(migrate(service, to), grantGroupAfter(service.name)),
        render: renderOutcomes,
        toJson: outcomeJson
      })
}

/** The target of `migrate` without a command. */
export const toHead: Destination = { from: Option.none(), to: Target.Head() }

const to = targetArgument(parseUpgrade, "head, +N, or a revision such as 2 or 0002_add_reason")

export const upgradeCommand = Command.make(
  "upgrade",
  { ...globalOptions, to: Args.withDefault(to, toHead) },
  ({ to, ...inner }) => Effect.flatMap(commandOptions(inner), (options) => upgrade(options, to))
).pipe(
  Command.withDescription(
    helpOf("Applies revisions up to the target (default head).", [
      "migrate upgrade",
      "migrate upgrade --dry-run",
      "migrate upgrade --service router +1",
      "migrate upgrade --service router 0002 --lock-timeout 5s",
      "migrate upgrade --service router --sql 0001:head"
    ])
  )
)
