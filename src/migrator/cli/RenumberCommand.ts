import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { wrongUsage } from "../../platform/cli/CommandRunner.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import { type RenumberOutcome, renumber } from "../recover/Renumbering.ts"
import { onDatabase } from "./DatabaseCommand.ts"
import { commandOptions, globalOptions } from "./GlobalOptions.ts"

const revision = Args.text({ name: "revision" }).pipe(
  Args.withDescription("The revision to renumber; its full name if two have its number: 0002_add_reason.")
)

const render = (results: ReadonlyArray<RenumberOutcome>): string =>
  results
    .map(
      ({ file, from, left, service, to }) =>
        `${service}: ${from} is ${to} now: ${file}${left === null ? "" : `\n\nstill to fix:\n${left}`}`
    )
    .join("\n")

export const renumberCommand = Command.make("renumber", { ...globalOptions, revision }, ({ revision, ...inner }) =>
  Effect.flatMap(commandOptions(inner), (options) =>
    onDatabase(options, {
      command: "renumber",
      refusal:
        options.services.length > 1
          ? wrongUsage("a revision belongs to one service; name it, for example --service gatekeeper")
          : null,
      work: (service) => renumber(service, revision),
      render
    })
  )
).pipe(
  Command.withDescription(
    helpOf(
      "Gives a revision that was merged late the next free number, by renaming its file. Refuses a revision that is applied " +
        "in the configured database.",
      ["migrate renumber --service gatekeeper 0002_add_reason"]
    )
  )
)
