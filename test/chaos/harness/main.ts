import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type * as Scope from "effect/Scope"
import { Durability } from "../../../src/domain/Durability.ts"
import { type FaultName, faultNames } from "./Faults.ts"

interface Command {
  readonly rounds: number
  readonly seed: number
  readonly mode: Durability | "all"
  readonly faults: ReadonlyArray<FaultName>
  readonly events: number
  readonly requests: number
  readonly streams: number
  readonly seconds: number
  readonly json: boolean
}

/** Answers whether all went as it must. */
type Chaos = (command: Command) => Effect.Effect<boolean, unknown, Scope.Scope>

/** Each loaded when it is asked for. */
const runs = new Map<string, () => Promise<Chaos>>([
  ["backlog", async () => (await import("./Backlog.ts")).backlogCommand],
  ["flood", async () => (await import("./Flood.ts")).floodCommand],
  ["fuzz", async () => (await import("./Fuzz.ts")).fuzzCommand],
  ["kill", async () => (await import("./Kill.ts")).killCommand],
  ["outage", async () => (await import("./Outage.ts")).outageCommand],
  ["starters", async () => (await import("./Starters.ts")).starters],
  ["stop-ghost", async () => (await import("./StopGhost.ts")).stopGhostCommand],
  ["walk", async () => (await import("./Walk.ts")).walk]
])

const modes = [...Durability.literals, "all"] as const

const parse = () =>
  parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: "string", default: "50" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      mode: { type: "string", default: "all" },
      faults: { type: "string", default: "" },
      events: { type: "string", default: "1000000" },
      requests: { type: "string", default: "20000" },
      streams: { type: "string", default: "200" },
      seconds: { type: "string", default: "60" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false }
    }
  })

const usage = `usage: pnpm chaos walk|starters [--rounds N] [--seed N]
       pnpm chaos kill [--rounds N] [--seed N] [--mode ${modes.join("|")}] [--json]
       pnpm chaos outage [--seed N] [--mode ${modes.join("|")}] [--faults ${faultNames.join(",")}] [--json]
       pnpm chaos backlog [--events N] [--json]
       pnpm chaos flood [--seconds N] [--seed N] [--json]
       pnpm chaos fuzz [--requests N] [--seed N] [--json]
       pnpm chaos stop-ghost [--streams N] [--seed N] [--json]`

const refuse = (problem: string): undefined => {
  console.error(`chaos: ${problem}\n\n${usage}`)
  process.exitCode = 2
}

const main = async ({ positionals, values }: ReturnType<typeof parse>): Promise<void> => {
  if (values.help) return console.log(usage)
  const wanted = values.faults === "" ? [] : values.faults.split(",")
  const faults = faultNames.filter((name) => wanted.includes(name))
  const run = runs.get(positionals[0] ?? "")
  const [rounds, seed, events] = [Number(values.rounds), Number(values.seed), Number(values.events)]
  const [requests, streams, seconds] = [Number(values.requests), Number(values.streams), Number(values.seconds)]
  const mode = modes.find((one) => one === values.mode)
  const isNumbered =
    [rounds, events, requests, streams, seconds].every((number) => Number.isInteger(number) && number > 0) &&
    Number.isInteger(seed)
  const wrong =
    run === undefined
      ? `${JSON.stringify(positionals[0] ?? "")} is not one of ${[...runs.keys()].join(", ")}`
      : mode === undefined
        ? `--mode must be one of ${modes.join(", ")}`
        : faults.length < wanted.length
          ? `--faults must be some of ${faultNames.join(", ")}`
          : "a number must be a whole number above 0"
  if (run === undefined || mode === undefined || faults.length < wanted.length || !isNumbered) return refuse(wrong)
  const chaos = await run()
  // Not `Effect.runPromise`: a Ctrl-C must end the servers that it started too.
  chaos({ rounds, seed, mode, faults, events, requests, streams, seconds, json: values.json }).pipe(
    Effect.scoped,
    Logger.withMinimumLogLevel(LogLevel.Error),
    NodeRuntime.runMain({
      teardown: (exit, onExit) => {
        const cutShort = Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause)
        onExit(cutShort ? 130 : Exit.isSuccess(exit) && exit.value ? 0 : 1)
      }
    })
  )
}

const parsed = (() => {
  try {
    return parse()
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error))
  }
})()
if (parsed !== undefined) await main(parsed)
