import { parseArgs } from "node:util"

interface Options {
  readonly json: boolean
  readonly profile: boolean
  readonly events: number
}

/** Each loaded when it is asked for: what one bench imports must not weigh on another. */
const benches = new Map<string, () => Promise<(options: Options) => void>>([
  ["audit", async () => (await import("./Audit.ts")).auditBench],
  ["chat", async () => (await import("./Chat.ts")).chatBench],
  ["http", async () => (await import("./Http.ts")).httpBench],
  ["migrate", async () => (await import("./Migrate.ts")).migrateBench],
  ["policy", async () => (await import("./Policy.ts")).policyBench]
])

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    profile: { type: "boolean", default: false },
    events: { type: "string", default: "200000" }
  }
})

const events = Number(values.events)
const bench = benches.get(positionals[0] ?? "")
if (bench === undefined || !Number.isInteger(events) || events < 1_000) {
  console.error(
    `usage: pnpm bench audit [--json] [--events N]   N events are left to recover, 1000 or more
       pnpm bench audit --profile [--json]    where the time of one event goes
       pnpm bench chat [--json]               a chat through router, guardian and gatekeeper in one process
       pnpm bench chat --profile [--json]     where the processor's time of a chat goes
       pnpm bench http [--json]               /validate beside a bare node:http and a bare router
       pnpm bench http --profile [--json]     where the processor's time of /validate goes
       pnpm bench migrate [--json]
       pnpm bench policy [--json]             decisions with 10 to 10 000 rules`
  )
  process.exitCode = 2
} else {
  const run = await bench()
  run({ json: values.json, profile: values.profile, events })
}
