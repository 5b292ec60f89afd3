import { stripVTControlCharacters } from "node:util"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { ExitCode } from "./ExitCode.ts"

/** A command line that was not understood, as `--json` prints it. */
export interface UsageReport {
  readonly command: string
  readonly exitCode: number
  readonly error: { readonly error: "WrongUsage"; readonly message: string; readonly exitCode: number }
}

/**
 * A command that has `--json` prints its one object too when its words cannot be understood. `commands` are those commands,
 * each with the fields that stand empty in its object then.
 */
export const reportUsage =
  (args: ReadonlyArray<string>, commands: ReadonlyMap<string, object>) =>
  <A, E, R>(run: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.tapError(run, (failure) => {
      const command = args.find((arg) => commands.has(arg))
      if (!ValidationError.isValidationError(failure) || command === undefined || !args.includes("--json")) {
        return Effect.void
      }
      const message = stripVTControlCharacters(HelpDoc.toAnsiText(failure.error)).trim()
      const report: UsageReport = {
        command,
        exitCode: ExitCode.usage,
        ...commands.get(command),
        error: { error: "WrongUsage", message, exitCode: ExitCode.usage }
      }
      return Console.log(JSON.stringify(report, null, 2))
    })
