import { nodeProblem } from "./app/NodeVersion.ts"
import { relayUnderTsx } from "./app/TsxSignals.ts"

const problem = nodeProblem(process.versions.node)
if (problem !== undefined) {
  process.stderr.write(`gravitas: ${problem}\n`)
  process.exit(1)
}

// The `tsx` command could kill a busy server; under it, the program runs in a child process and this one passes signals on.
if (!relayUnderTsx()) {
  const { run } = await import("./app/Cli.ts")
  run()
}
