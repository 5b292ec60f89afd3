import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import { briefNames, clientNames, clientsOf, installClients } from "./Packages.ts"
import { runTrials, type TrialResult } from "./Trials.ts"

const help = `usage: pnpm clients [options]

Runs clients of OpenAI's API, exactly as the registry has them, against the program, with an embedded PostgreSQL and a provider on
loopback: the list of models, a whole answer, a stream, calls of tools, errors, and an abort. Installs the clients when it is needed.

  --only NAME  this client alone: ${clientNames.join(", ")}
  --brief      ${briefNames.join(" and ")} alone; left out, with the reason, where they cannot be installed
  --json       JSON on stdout
  --help       this text

Exits 1 when a trial fails.`

const options = () =>
  parseArgs({
    options: {
      only: { type: "string" },
      brief: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false }
    }
  }).values

const table = (results: ReadonlyArray<TrialResult>): string =>
  results
    .map(({ detail, name, trial, verdict, version }) =>
      [name.padEnd(11), version.padEnd(9), trial.padEnd(40), verdict, detail].join(" ").trimEnd()
    )
    .join("\n")

const main = ({ brief, help: isHelp, json, only }: ReturnType<typeof options>): void => {
  if (isHelp) {
    console.log(help)
    return
  }
  if (only !== undefined && !clientNames.includes(only)) {
    console.error(`clients: ${JSON.stringify(only)} is not one of ${clientNames.join(", ")}`)
    process.exitCode = 2
    return
  }
  const problem = installClients()
  if (problem !== undefined) {
    console.error(`clients: left out, because they cannot be installed: ${problem}`)
    process.exitCode = brief ? 0 : 1
    return
  }
  const names = only === undefined ? (brief ? briefNames : clientNames) : [only]
  runTrials(clientsOf(names), (name) => console.error(`${name} …`)).pipe(
    Effect.tap((results) =>
      Effect.sync(() => {
        console.log(json ? JSON.stringify(results, null, 2) : table(results))
        const count = (wanted: TrialResult["verdict"]) => results.filter(({ verdict }) => verdict === wanted).length
        const failed = count("failed")
        console.error(`${count("passed")} passed, ${failed} failed, ${count("not offered")} not offered by the client`)
        if (failed > 0) process.exitCode = 1
      })
    ),
    NodeRuntime.runMain
  )
}

try {
  main(options())
} catch (error) {
  console.error(`clients: ${error instanceof Error ? error.message : error}\n\n${help}`)
  process.exitCode = 2
}
