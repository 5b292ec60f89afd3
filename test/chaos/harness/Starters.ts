import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { serviceNames } from "../../../src/domain/Service.ts"
import { benchServer, databaseOn } from "../../support/BenchDatabase.ts"
import { race, starter } from "../../support/migrator/Starters.ts"

const processes = 8
/** Milliseconds; a whole migration takes about as long, so that a start can meet any moment of another's. */
const widest = 300

/** Answers whether every round ended as it must. A round's timing follows from the seed and its number alone. */
export const starters = (options: { readonly rounds: number; readonly seed: number }) =>
  Effect.gen(function* () {
    const server = yield* benchServer
    const started = yield* Effect.all(
      Array.from({ length: processes }, () => starter),
      { concurrency: "unbounded" }
    )
    const histories = new Map<string, Set<string>>()
    let failures = 0
    for (let number = 1; number <= options.rounds; number++) {
      const random = Random.make(`${options.seed}/${number}`)
      const spread = yield* random.nextIntBetween(0, widest)
      const delays = yield* Effect.forEach(started, () => random.nextIntBetween(0, spread + 1))
      const service = serviceNames[number % serviceNames.length] ?? "gatekeeper"
      const round = yield* Effect.scoped(
        Effect.flatMap(databaseOn(server), (url) => race(started, url, service, delays))
      )
      const history = JSON.stringify([round.history, round.events])
      const known = histories.get(service) ?? new Set()
      histories.set(service, known.add(history))
      const well = round.problems.length === 0 && round.appliers === 1 && known.size === 1
      if (!well) failures++
      console.log(
        `round ${number} (${service}, within ${spread} ms): ${well ? "ok" : "WRONG"}` +
          (well ? "" : ` ${JSON.stringify({ delays, ...round })}`)
      )
    }
    console.log(`${options.rounds - failures} of ${options.rounds} rounds ended as they must (seed ${options.seed})`)
    return failures === 0
  })
