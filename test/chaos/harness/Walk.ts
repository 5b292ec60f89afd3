import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import { moves, walk as walked } from "../../migrator/chaos/Walk.ts"
import { benchServer, databaseOn } from "../../support/BenchDatabase.ts"

/** `rounds` walks; one that goes wrong is shrunk to its shortest form and told. */
export const walk = (options: { readonly rounds: number; readonly seed: number }) =>
  Effect.gen(function* () {
    const server = yield* benchServer
    const property = FastCheck.asyncProperty(moves, async (path) => {
      const problems = await Effect.runPromise(
        Effect.scoped(Effect.flatMap(databaseOn(server), (url) => walked(url, path)))
      )
      if (problems.length > 0) throw new Error(problems.join("\n"))
    })
    const details = yield* Effect.promise(() =>
      FastCheck.check(property, { seed: options.seed, numRuns: options.rounds })
    )
    console.log(
      details.failed
        ? FastCheck.defaultReportMessage(details)
        : `${details.numRuns} walks ended at head (seed ${options.seed})`
    )
    return !details.failed
  })
