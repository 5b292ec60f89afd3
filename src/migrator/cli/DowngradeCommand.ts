import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { confirmed, wrongUsage } from "../../platform/cli/CommandRunner.ts"
import { flag } from "../../platform/cli/Flags.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import { migrate, preview } from "../apply/Migrate.ts"
import { MigratorOptions } from "../MigratorOptions.ts"
import { parseDowngrade } from "../plan/Target.ts"
import { onDatabase } from "./DatabaseCommand.ts"
import { dryRun, renderDryRuns } from "./DryRun.ts"
import { type CommandOptions, commandOptions, globalOptions } from "./GlobalOptions.ts"
import { outcomeJson, renderOutcomes } from "./Rendering.ts"
import { printScript } from "./ScriptCommand.ts"
import { type Destination, misplaced, targetArgument } from "./TargetArgument.ts"

/** Checks the downgrade of every service before the first one changes. Services that call others are downgraded first. */
const run = (options: CommandOptions, { from, to }: Destination) => {
  const refusal = misplaced(options, { from, to })
  const command = "downgrade"
  const backwards: CommandOptions = { ...options, services: [...options.services].reverse() }
  if (options.sql) {
    return Option.match(from, {
      onNone: () =>
        printScript(
          backwards,
          command,
          to,
          to,
          wrongUsage("a script cannot read the current revision; name it: downgrade --sql head:base")
        ),
      onSome: (start) => printScript(backwards, command, start, to, refusal)
    })
  }
  return options.dryRun
    ? onDatabase(backwards, {
        command,
        refusal,
        effects: "reads",
        work: (service) => dryRun(service, to),
        render: renderDryRuns
      })
    : onDatabase(
        backwards,
        {
          command,
          refusal,
          work: (service) => migrate(service, to),
          render: renderOutcomes,
          toJson: outcomeJson
        },
        Effect.forEach(options.services, (service) => preview(service, to), { discard: true })
      )
}

/** The names of the chosen services, for a question. */
export const namesOf = ({ services }: CommandOptions): string => services.map(({ name }) => name).join(", ")

/** Whether data may be destroyed. On a terminal the command also asks. */
export const allowDataLoss = flag("allow-data-loss").pipe(
  Options.withDescription(
    "Continue even if a down script drops tables or columns that hold data. Without it that is refused."
  )
)

/** Runs `effect` with `allowDataLoss` set to `allowed`. */
export const mayLoseData = <A, E, R>(allowed: boolean, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(MigratorOptions, (options) =>
    Effect.provideService(effect, MigratorOptions, { ...options, allowDataLoss: allowed })
  )

const to = targetArgument(parseDowngrade, "base, -N, or the revision to go back to, such as 1 or 0001_audit_trail")

export const downgradeCommand = Command.make(
  "downgrade",
  { ...globalOptions, allowDataLoss, to },
  ({ allowDataLoss, to, ...inner }) =>
    Effect.gen(function* () {
      const options = yield* commandOptions(inner)
      if (allowDataLoss && !options.dryRun && !options.sql) {
        yield* confirmed(
          options,
          `Downgrade ${namesOf(options)} and permanently lose the data that the down scripts drop?`
        )
      }
      yield* mayLoseData(allowDataLoss, run(options, to))
    })
).pipe(
  Command.withDescription(
    helpOf(
      "Reverts revisions, newest first, until the target is the current one. Refuses to destroy data by default.",
      [
        "migrate downgrade -1 --service gatekeeper",
        "migrate downgrade --service router 0001 --dry-run",
        "migrate downgrade base --allow-data-loss",
        "migrate downgrade --service router --sql 0002:0001"
      ]
    )
  )
)
