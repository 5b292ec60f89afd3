import type * as Terminal from "@effect/platform/Terminal"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { ServiceName } from "../../domain/Service.ts"
import { coloursWanted } from "../../platform/cli/Colours.ts"
import { MigrationsFailed, type Report, type ReportedError, reported, tell } from "./Report.ts"

export interface Tagged extends Error {
  readonly _tag: string
}

/** A result that still ends the process with a code of its own. */
export interface Verdict {
  readonly message: string
  readonly exitCode: number
}

/** One command over its services: how each result is found, shown and judged. */
export interface CommandRun<A, E, R> {
  readonly command: string
  readonly services: ReadonlyArray<ServiceName>
  readonly json: boolean
  readonly noColor: boolean
  readonly work: (service: ServiceName) => Effect.Effect<A, E, R>
  readonly render: (results: ReadonlyArray<A>, colours: boolean) => string
  /** What of a result `--json` shows; by default all of it. */
  readonly toJson?: (result: A) => unknown
  readonly verdict?: (result: A) => Verdict | null
  /** Show nothing unless every service has a result: half of a script is worse than none. */
  readonly allOrNothing?: boolean
}

type Result<A> =
  | { readonly service: ServiceName; readonly ok: true; readonly result: A }
  | { readonly service: ServiceName; readonly ok: false; readonly error: Tagged }

/**
 * Runs the command for each service in turn; a service that fails does not keep the next from its own schema. The results go
 * to stdout, as a table or as one JSON object (see Report.ts); every failure is in the error with which this fails.
 *
 * `provide` opens what the work needs; when that fails, every service has failed with it.
 */
export const runCommand = <A, E extends Tagged, R, E2 extends Tagged, R2>(
  run: CommandRun<A, E, R>,
  provide: (all: Effect.Effect<ReadonlyArray<Result<A>>, never, R>) => Effect.Effect<ReadonlyArray<Result<A>>, E2, R2>
): Effect.Effect<void, MigrationsFailed, R2 | Terminal.Terminal> =>
  Effect.gen(function* () {
    const each = Effect.forEach(run.services, (service) =>
      Effect.map(
        Effect.either(run.work(service)),
        (result): Result<A> =>
          Either.isRight(result)
            ? { service, ok: true, result: result.right }
            : { service, ok: false, error: result.left }
      )
    )
    const results = yield* provide(each).pipe(
      Effect.catchAll((error: E2) => {
        const failed = run.services.map((service): Result<A> => ({ service, ok: false, error }))
        return Effect.succeed(failed)
      })
    )
    const problems = results.flatMap((one): ReadonlyArray<Verdict> => {
      if (!one.ok) return [{ message: tell(one.error), exitCode: reported(one.error).exitCode }]
      const verdict = run.verdict?.(one.result) ?? null
      return verdict === null ? [] : [verdict]
    })
    const exitCode = problems[0]?.exitCode ?? 0
    if (run.json) {
      const report: Report<unknown> = {
        command: run.command,
        exitCode,
        services: results.map((one) =>
          one.ok
            ? { service: one.service, ok: true, result: run.toJson?.(one.result) ?? one.result }
            : { service: one.service, ok: false, error: reported(one.error) satisfies ReportedError }
        )
      }
      yield* Console.log(JSON.stringify(report, null, 2))
    } else {
      const found = results.flatMap((one) => (one.ok ? [one.result] : []))
      const shown = run.allOrNothing === true && found.length < results.length ? [] : found
      if (shown.length > 0) yield* Console.log(run.render(shown, yield* coloursWanted(run.noColor)))
    }
    if (problems.length > 0) {
      // The same failure of all services, such as a server that is away, is told once.
      return yield* new MigrationsFailed({ messages: [...new Set(problems.map(({ message }) => message))], exitCode })
    }
  })
