import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { wrongUsage } from "../../platform/cli/CommandRunner.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import { renderTable } from "../../platform/cli/Table.ts"
import { parseUpgrade } from "../plan/Target.ts"
import { type StampOutcome, type StampTarget, stamp } from "../recover/Stamp.ts"
import { onDatabase } from "./DatabaseCommand.ts"
import { commandOptions, globalOptions, reason } from "./GlobalOptions.ts"
import { needsOneService } from "./TargetArgument.ts"

const target = Args.text({ name: "revision" }).pipe(
  Args.withDescription("The revision that the tables are at: head, or one such as 2 or 0002_add_reason."),
  Args.mapEffect((text) => {
    const to = Option.getOrUndefined(parseUpgrade(text))
    return to?._tag === "Head" || to?._tag === "UpTo"
      ? Effect.succeed<StampTarget>(to)
      : Effect.fail(
          HelpDoc.p(`${JSON.stringify(text)} is not a revision; expected head, or one such as 0002_add_reason`)
        )
  })
)

const render = (stamped: ReadonlyArray<StampOutcome>, colours: boolean): string =>
  renderTable(
    ["service", "from", "to", "recorded without running"],
    stamped.map(({ from, revisions, service, to }) => [
      { text: service },
      { text: from },
      { text: to, tone: "good" },
      { text: revisions.length === 0 ? "nothing: it is recorded already" : revisions.join(", ") }
    ]),
    colours
  )

export const stampCommand = Command.make(
  "stamp",
  { ...globalOptions, reason, target },
  ({ reason, target, ...inner }) =>
    Effect.flatMap(commandOptions(inner), (options) =>
      onDatabase(options, {
        command: "stamp",
        refusal: Option.isNone(reason)
          ? wrongUsage('give a reason for the event log: stamp <revision> --reason "<why>"')
          : needsOneService(options, target),
        work: (service) =>
          stamp(
            service,
            target,
            Option.getOrElse(reason, () => "")
          ),
        render
      })
    )
).pipe(
  Command.withDescription(
    helpOf(
      "Adopts a database that already has the tables: records the revisions up to the named one as applied, and runs none. " +
        "The migrate:verify of each of them must hold.",
      ['migrate stamp --service router 0001_history --reason "adopted from the old system"']
    )
  )
)
