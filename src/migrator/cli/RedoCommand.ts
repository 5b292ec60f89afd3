import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Effect from "effect/Effect"
import { confirmed, refusal } from "../../platform/cli/CommandRunner.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import { Settings } from "../../platform/config/Settings.ts"
import { migrate, preview } from "../apply/Migrate.ts"
import type { MigratedService } from "../files/MigrationFiles.ts"
import { Target } from "../plan/Target.ts"
import { onDatabase } from "./DatabaseCommand.ts"
import { allowDataLoss, mayLoseData, namesOf } from "./DowngradeCommand.ts"
import { dryRun, renderDryRuns } from "./DryRun.ts"
import { commandOptions, globalOptions } from "./GlobalOptions.ts"
import { outcomeJson, renderOutcomes } from "./Rendering.ts"

const production = refusal(
  "redo reverts revisions to apply them again, which is for development only, and NODE_ENV is production; nothing was run. " +
    "To downgrade on purpose: pnpm migrate downgrade -1 --service <service>"
)

const count = Args.integer({ name: "N" }).pipe(
  Args.withDescription("How many revisions, from the newest (default 1)."),
  Args.mapEffect((count) =>
    count >= 1 && count <= 9_999
      ? Effect.succeed(count)
      : Effect.fail(HelpDoc.p(`${count} is not a number of revisions from 1 to 9999`))
  ),
  Args.withDefault(1)
)

export const redoCommand = Command.make(
  "redo",
  { ...globalOptions, allowDataLoss, count },
  ({ allowDataLoss, count, ...inner }) =>
    Effect.gen(function* () {
      const options = yield* commandOptions(inner)
      const { environment } = yield* Settings
      const command = "redo"
      const target = Target.Redo({ count })
      const refused = environment === "production" ? production : null
      if (options.dryRun) {
        const work = (service: MigratedService) => dryRun(service, target)
        return yield* onDatabase(options, { command, refusal: refused, effects: "reads", work, render: renderDryRuns })
      }
      if (allowDataLoss && refused === null) {
        yield* confirmed(options, `Redo ${count} of ${namesOf(options)} and lose the data that the down scripts drop?`)
      }
      const all = onDatabase(
        options,
        {
          command,
          ...(refused === null ? {} : { refusal: refused }),
          work: (service) => migrate(service, target),
          render: renderOutcomes,
          toJson: outcomeJson
        },
        Effect.forEach(options.services, (service) => preview(service, target), { discard: true })
      )
      yield* mayLoseData(allowDataLoss, all)
    })
).pipe(
  Command.withDescription(
    helpOf(
      "Reverts the newest revisions and applies them again, to test a revision during development. Not in production.",
      ["migrate redo --service router", "migrate redo 2 --service gatekeeper --allow-data-loss"]
    )
  )
)
