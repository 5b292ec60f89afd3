import { stripVTControlCharacters } from "node:util"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Prompt from "@effect/cli/Prompt"
import * as ValidationError from "@effect/cli/ValidationError"
import type * as Terminal from "@effect/platform/Terminal"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { ServiceName } from "../../domain/Service.ts"
import { inOwnFiber } from "../os/OwnFiber.ts"
import { ExitCode, exitCodeOf } from "./ExitCode.ts"
import { coloursWanted, isTerminal, visibleJson } from "./TerminalText.ts"

/** A failure of a command. Its exit code is its own `exitCode`, else 1. */
export interface CommandError extends Error {
  readonly _tag: string
  /** What stderr shows after the message, such as the line of a file. */
  readonly excerpt?: string
  /** Members of `error` in the JSON report beside `error`, `message` and `exitCode`. */
  readonly details?: object
}

/** Why a command that has a result does not end with 0. */
export interface Verdict {
  readonly error: string
  readonly message: string
  readonly exitCode: number
}

/** The values of the options that every command has. */
export interface OutputFlags {
  readonly json: boolean
  readonly noColor: boolean
}

export interface Presentation extends OutputFlags {
  readonly command: string
}

/**
 * The one object that `--json` prints on stdout once the command line is understood. `error` is null exactly when `exitCode`
 * is 0; `result` is null when there is none. The members of `result` are named as in the HTTP responses.
 */
export interface Report {
  readonly command: string
  readonly exitCode: number
  readonly result: unknown
  readonly error: Verdict | null
}

/** The members of a `Report` for a command line that is not valid. */
export const emptyReport = { result: null } satisfies Pick<Report, "result">

/** The object of a command that works on each service by itself. docs/migrations-reference.md lists what `result` holds. */
interface ServicesReport {
  readonly command: string
  readonly exitCode: number
  readonly services: ReadonlyArray<
    | { readonly service: ServiceName; readonly ok: true; readonly result: unknown }
    | { readonly service: ServiceName; readonly ok: false; readonly error: Verdict }
  >
}

/** The members of a `ServicesReport` for a command line that is not valid. */
export const emptyServicesReport = { services: [] } satisfies Pick<ServicesReport, "services">

/** The command ran and does not end with 0. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  message: Schema.String,
  exitCode: Schema.Number
}) {}

const verdictOf = (error: CommandError, exitCode = exitCodeOf(error)): Verdict => ({
  error: error._tag,
  message: error.message,
  exitCode,
  ...error.details
})

/** The message for people: an error in a file shows the place too. */
const problemOf = ({ excerpt, message }: CommandError): string =>
  excerpt === undefined ? message : `${message}\n\n${excerpt}`

/** Ends the process with the failure's exit code. For a command that prints by itself, without `runCommand`. */
export const commandFailed = (error: CommandError): CommandFailed =>
  new CommandFailed({ message: problemOf(error), exitCode: exitCodeOf(error) })

const show = (
  { json, noColor }: Presentation,
  report: Report | ServicesReport,
  render: ((colours: boolean) => string) | null
) =>
  json
    ? Console.log(visibleJson(JSON.stringify(report, null, 2)))
    : render === null
      ? Effect.void
      : Effect.flatMap(coloursWanted(noColor), (colours) => Console.log(render(colours)))

interface CommandRun<A, E, R> extends Presentation {
  readonly work: Effect.Effect<A, E, R>
  readonly render: (result: A, colours: boolean) => string
  readonly toJson: (result: A) => unknown
  readonly verdict?: (result: A) => Verdict | null
  /** Exit codes of this command for errors that have none of their own, by tag. */
  readonly exitCodes?: Readonly<Record<string, number>>
}

/** Runs a command. Its result goes to stdout, as text or as one `Report`; the reason of an exit code other than 0 to stderr. */
export const runCommand = <A, E extends CommandError, R>(
  run: CommandRun<A, E, R>
): Effect.Effect<void, CommandFailed, R | Terminal.Terminal> =>
  Effect.gen(function* () {
    const found = yield* Effect.either(run.work)
    const error = Either.match(found, {
      onLeft: (error) => verdictOf(error, run.exitCodes?.[error._tag]),
      onRight: (result) => run.verdict?.(result) ?? null
    })
    yield* show(
      run,
      {
        command: run.command,
        exitCode: error?.exitCode ?? 0,
        result: Either.isRight(found) ? run.toJson(found.right) : null,
        error
      },
      Either.isRight(found) ? (colours) => run.render(found.right, colours) : null
    )
    if (error === null) return
    const message = Either.isLeft(found) ? problemOf(found.left) : error.message
    return yield* new CommandFailed({ message, exitCode: error.exitCode })
  })

/** Why a service that has a result does not end the command with 0. */
export type ServiceVerdict = Omit<Verdict, "error">

/** A command that works on each of its services by itself. */
export interface ServicesRun<S extends { readonly name: ServiceName }, A, E, R> extends Presentation {
  readonly services: ReadonlyArray<S>
  readonly work: (service: S) => Effect.Effect<A, E, R>
  readonly render: (results: ReadonlyArray<A>, colours: boolean) => string
  /** What the JSON report shows of a result; by default all of it. */
  readonly toJson?: (result: A) => unknown
  readonly verdict?: (result: A) => ServiceVerdict | null
  /** Print nothing unless every service has a result: half of a script is worse than none. */
  readonly allOrNothing?: boolean
  /** Why the command must not begin. */
  readonly refusal?: CommandRefused | null
}

interface ServiceResult<A> {
  readonly service: ServiceName
  readonly result: Either.Either<A, CommandError>
}

/**
 * Runs the command for one service after the other; if one fails, the next ones still run. Results go to stdout, as a table or
 * as one `ServicesReport`. Fails with every message; the first one's exit code ends the process.
 *
 * `provide` opens what the work needs. If that fails, every service fails with its error.
 */
export const runForEachService = <
  S extends { readonly name: ServiceName },
  A,
  E extends CommandError,
  R,
  E2 extends CommandError,
  R2
>(
  run: ServicesRun<S, A, E, R>,
  provide: (
    all: Effect.Effect<ReadonlyArray<ServiceResult<A>>, never, R>
  ) => Effect.Effect<ReadonlyArray<ServiceResult<A>>, E2, R2>
): Effect.Effect<void, CommandFailed, R2 | Terminal.Terminal> =>
  Effect.gen(function* () {
    const each = Effect.forEach(run.services, (service) =>
      Effect.map(
        Effect.either(inOwnFiber(run.work(service))),
        (result): ServiceResult<A> => ({ service: service.name, result })
      )
    )
    const begun = run.refusal ? Effect.fail(run.refusal) : provide(each)
    const results = yield* Effect.catchAll(begun, (error: E2 | CommandRefused) =>
      Effect.succeed(run.services.map(({ name }): ServiceResult<A> => ({ service: name, result: Either.left(error) })))
    )
    const problems = results.flatMap(({ result }) => {
      if (Either.isLeft(result)) return [{ message: problemOf(result.left), exitCode: exitCodeOf(result.left) }]
      return run.verdict?.(result.right) ?? []
    })
    const exitCode = problems[0]?.exitCode ?? 0
    const services = results.map(({ result, service }) =>
      Either.match(result, {
        onLeft: (error) => ({ service, ok: false as const, error: verdictOf(error) }),
        onRight: (result) => ({ service, ok: true as const, result: run.toJson?.(result) ?? result })
      })
    )
    const found = results.flatMap(({ result }) => (Either.isRight(result) ? [result.right] : []))
    const hasOutput = found.length > 0 && (run.allOrNothing !== true || found.length === results.length)
    yield* show(
      run,
      { command: run.command, exitCode, services },
      hasOutput ? (colours) => run.render(found, colours) : null
    )
    if (problems.length > 0) {
      // All services can have the same failure, such as an unreachable server: print it once.
      const messages = new Set(problems.map(({ message }) => message))
      return yield* new CommandFailed({ message: [...messages].join("\n\n"), exitCode })
    }
  })

/** A command that did not begin: an option does not fit it, or the user did not confirm. */
export class CommandRefused extends Schema.TaggedError<CommandRefused>()("CommandRefused", {
  message: Schema.String,
  exitCode: Schema.Number
}) {}

export const wrongUsage = (message: string): CommandRefused => new CommandRefused({ message, exitCode: ExitCode.usage })

export const refusal = (message: string): CommandRefused => new CommandRefused({ message, exitCode: ExitCode.refused })

const isInteractive = Effect.sync(() => process.stdin.isTTY === true && isTerminal("stdout"))

const ask = (question: string) =>
  Prompt.confirm({ message: question, initial: false }).pipe(
    Effect.orElseSucceed(() => false),
    Effect.filterOrFail(
      (yes) => yes,
      () => refusal("not confirmed; nothing was run")
    ),
    Effect.asVoid
  )

/** Asks before an action that cannot be undone, unless `--yes`. In a pipe the option that names the danger is confirmation enough. */
export const confirmed = ({ yes }: { readonly yes: boolean }, question: string) =>
  yes ? Effect.void : Effect.if(isInteractive, { onTrue: () => ask(question), onFalse: () => Effect.void })

/** Prints the JSON object of a command line that is not valid. `commands`: those with `--json`, and the empty members of their object. */
export const reportUsage =
  (args: ReadonlyArray<string>, commands: ReadonlyMap<string, object>) =>
  <A, E, R>(run: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.tapError(run, (failure) => {
      const command = args.find((arg) => commands.has(arg))
      if (!ValidationError.isValidationError(failure) || command === undefined || !args.includes("--json")) {
        return Effect.void
      }
      const message = stripVTControlCharacters(HelpDoc.toAnsiText(failure.error)).trim()
      const exitCode = ExitCode.usage
      const error: Verdict = { error: "WrongUsage", message, exitCode }
      return Console.log(JSON.stringify({ command, exitCode, ...commands.get(command), error }, null, 2))
    })
