import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import { flag } from "./Flags.ts"

/** The options of every command: how its result is shown. */
export const outputOptions = {
  json: flag("json").pipe(
    Options.withDescription("Print one JSON object on stdout, errors too: { command, exitCode, result, error }.")
  ),
  noColor: flag("no-color").pipe(
    Options.withDescription("No colours on a terminal; NO_COLOR=1 in the environment says the same.")
  )
}

const maximumLimit = 1_000

/** `--limit`: how many `what` are shown. `standard` is the default. */
export const limitOption = (standard: number, what: string) =>
  Options.integer("limit").pipe(
    Options.withDescription(`How many ${what} to show, up to ${maximumLimit}. Default: ${standard}.`),
    Options.withDefault(standard),
    Options.mapEffect((limit) =>
      limit >= 1 && limit <= maximumLimit
        ? Effect.succeed(limit)
        : Effect.fail(
            ValidationError.invalidValue(HelpDoc.p(`--limit ${limit} is not a number from 1 to ${maximumLimit}`))
          )
    )
  )
