import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { wrongUsage } from "../../platform/cli/CommandRefused.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import { type RenumberOutcome, renumber } from "../recover/Renumbering.ts"
import { onDatabase } from "./DatabaseCommand.ts"
import { commandOptions, globalOptions } from "./GlobalOptions.ts"

const revision = Args.text({ name: "revision" }).pipe(
  Args.withDescription("The revision that came late, in full where two have its number: 0002_add_reason.")
)

const render = (results: ReadonlyArray<RenumberOutcome>): string =>
  results
    .map(
      ({ file, from, left, service, to }) =>
        `${service}: ${from} is ${to} now: ${file}${left === null ? "" : `\n\nstill to mend:\n${left}`}`
    )
    .join("\n")

export const renumberCommand = Command.make("renumber", { ...globalOptions, revision }, ({ revision, ...inner }) =>
  Effect.flatMap(commandOptions(inner), (given) =>
    onDatabase(given, {
      command: "renumber",
      refusal:
        given.services.length > 1
          ? wrongUsage("a revision belongs to one service; say which, for example --service gatekeeper")
          : null,
      work: (service) => renumber(service, revision),
      render
    })
  )
).pipe(
  Command.withDescription(
    helpOf(
      "Gives a revision that was merged late the next free number, by renaming its file. Refuses one that is applied in " +
        "the database at hand.",
      ["migrate renumber --service gatekeeper 0002_add_reason"]
    )
  )
)
