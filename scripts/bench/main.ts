import { auditBench } from "./Audit.ts"

const benches = new Map([["audit", auditBench]])

const [name = "", ...options] = process.argv.slice(2)
const bench = benches.get(name)
if (bench === undefined) {
  console.error(`usage: pnpm bench <${[...benches.keys()].join("|")}> [--json]`)
  process.exitCode = 2
} else {
  bench({ json: options.includes("--json") })
}
