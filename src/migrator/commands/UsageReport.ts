import { stripVTControlCharacters } from "node:util"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { ExitCode } from "../ExitCode.ts"
import type { Report } from "./Report.ts"

/** What `--json` prints where the command line itself was refused: no service was asked. */
export interface UsageReport extends Report<never> {
  readonly error: { readonly error: "WrongUsage"; readonly message: string; readonly exitCode: number }
}

/** A `migrate … --json` that cannot be understood prints the one object too. */
export const reportUsage =
  (args: ReadonlyArray<string>) =>
  <A, E, R>(run: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.tapError(run, (failure) => {
      if (!ValidationError.isValidationError(failure) || !args.includes("migrate") || !args.includes("--json")) {
        return Effect.void
      }
      const message = stripVTControlCharacters(HelpDoc.toAnsiText(failure.error)).trim()
      const report: UsageReport = {
        command: "migrate",
        exitCode: ExitCode.usage,
        services: [],
        error: { error: "WrongUsage", message, exitCode: ExitCode.usage }
      }
      return Console.log(JSON.stringify(report, null, 2))
    })
