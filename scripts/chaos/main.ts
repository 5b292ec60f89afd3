import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"

/** Each loaded when it is asked for. */
const runs = new Map([
  ["starters", async () => (await import("./Starters.ts")).starters],
  ["walk", async () => (await import("./Walk.ts")).walk]
])

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "50" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) }
  }
})
const run = runs.get(positionals[0] ?? "")
const [rounds, seed] = [Number(values.rounds), Number(values.seed)]
if (run === undefined || !Number.isInteger(rounds) || rounds < 1 || !Number.isInteger(seed)) {
  console.error(`usage: pnpm chaos <${[...runs.keys()].join("|")}> [--rounds N] [--seed N]`)
  process.exitCode = 2
} else {
  const chaos = await run()
  const well = await Effect.runPromise(
    chaos({ rounds, seed }).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.Error))
  )
  process.exitCode = well ? 0 : 1
}
