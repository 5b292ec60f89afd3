import type * as Terminal from "@effect/platform/Terminal"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { coloursWanted } from "../../platform/cli/Colours.ts"
import { visibleJson } from "../../platform/cli/Visible.ts"
import { exitCodeOfFailure } from "./ExitCode.ts"

export interface Tagged extends Error {
  readonly _tag: string
}

/** Why a command does not end with 0, though it may have a result. */
export interface Verdict {
  readonly error: string
  readonly message: string
  readonly exitCode: number
}

/**
 * The one object that `--json` prints on stdout once the command line is understood. `error` is null exactly when `exitCode`
 * is 0; `result` is null when there is none. What is in `result` has the names that the trail's HTTP answers have.
 */
export interface Report {
  readonly command: string
  readonly exitCode: number
  readonly result: unknown
  readonly error: Verdict | null
}

/** What that object has beside its error when the command line was not understood. */
export const unasked = { result: null } satisfies Pick<Report, "result">

export interface CommandRun<A, E, R> {
  readonly command: string
  readonly json: boolean
  readonly noColor: boolean
  readonly work: Effect.Effect<A, E, R>
  readonly render: (result: A, colours: boolean) => string
  readonly toJson: (result: A) => unknown
  readonly verdict?: (result: A) => Verdict | null
}

/** The command ran, and its end is not 0. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  problem: Schema.String,
  exitCode: Schema.Number
}) {
  override get message(): string {
    return this.problem
  }
}

const told = (failure: Tagged): Verdict => ({
  error: failure._tag,
  message: failure.message,
  exitCode: exitCodeOfFailure(failure)
})

/** A failure with the exit code that it ends the process with. */
export const failed = (failure: Tagged): CommandFailed =>
  new CommandFailed({ problem: failure.message, exitCode: exitCodeOfFailure(failure) })

/** Runs a command: its result goes to stdout, as text or as one JSON object; why it does not end with 0 to stderr. */
export const runCommand = <A, E extends Tagged, R>(
  run: CommandRun<A, E, R>
): Effect.Effect<void, CommandFailed, R | Terminal.Terminal> =>
  Effect.gen(function* () {
    const found = yield* Effect.either(run.work)
    const error = Either.match(found, { onLeft: told, onRight: (result) => run.verdict?.(result) ?? null })
    if (run.json) {
      const result = Either.isRight(found) ? run.toJson(found.right) : null
      const report: Report = { command: run.command, exitCode: error?.exitCode ?? 0, result, error }
      yield* Console.log(visibleJson(JSON.stringify(report, null, 2)))
    } else if (Either.isRight(found)) {
      yield* Console.log(run.render(found.right, yield* coloursWanted(run.noColor)))
    }
    if (error !== null) return yield* new CommandFailed({ problem: error.message, exitCode: error.exitCode })
  })
