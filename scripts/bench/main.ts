import { parseArgs } from "node:util"

interface Options {
  readonly json: boolean
  readonly profile: boolean
  readonly brief: boolean
  readonly events: number
  readonly out: string | undefined
  readonly streams: number | undefined
  readonly against: string | undefined
}

/** Each loaded when it is asked for: what one bench imports must not weigh on another. */
const benches = new Map<string, () => Promise<(options: Options) => void>>([
  ["all", async () => (await import("./All.ts")).allBench],
  ["audit", async () => (await import("./Audit.ts")).auditBench],
  ["chat", async () => (await import("./Chat.ts")).chatBench],
  ["http", async () => (await import("./Http.ts")).httpBench],
  ["migrate", async () => (await import("./Migrate.ts")).migrateBench],
  ["peers", async () => (await import("./Peers.ts")).peersBench],
  ["policy", async () => (await import("./Policy.ts")).policyBench]
])

const help = `usage: pnpm bench <what> [options]

  all      every aim of docs/performance.md in one run, in about ten minutes
  audit    recording, draining and recovering events, and what a trail costs /validate
  chat     a chat through router, guardian and gatekeeper in one process, beside its provider, a bare pipe and @portkey-ai/gateway
  http     /validate beside a bare node:http and a bare router
  migrate  a start at head, and applying revisions beside other migrators
  peers    /validate, the journal and migrations beside other programs, which it starts; also after SIGKILL
  policy   decisions with 10 to 10 000 rules

  --json         JSON on stdout; with all: writes docs/performance.json, of which pnpm write:docs makes a page
  --out FILE     with all --json: another file; with chat --profile: keeps the CPU profile
  --brief        with all, chat, peers: short rounds that show that it works; their figures mean nothing
  --profile      with audit: where the time of one event goes; with http and chat: where the processor's time goes
  --streams N    with chat: the memory over N streams, 1000 or more; exits 1 when it is not flat
  --against DIR  with chat: the router of another installed checkout takes part
  --events N     with audit: so many events are left to recover, 1000 or more; by default 200000
  --help         this text

Figures go to stdout, progress to stderr. DATABASE_URL names a PostgreSQL; by default an embedded one is made for the run.`

const parse = () =>
  parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      profile: { type: "boolean", default: false },
      brief: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
      events: { type: "string", default: "200000" },
      out: { type: "string" },
      streams: { type: "string" },
      against: { type: "string" }
    }
  })

const refuse = (problem: string): void => {
  console.error(`bench: ${problem}\n\n${help}`)
  process.exitCode = 2
}

const main = async ({ positionals, values }: ReturnType<typeof parse>): Promise<void> => {
  if (values.help) return console.log(help)
  const [word, ...others] = positionals
  if (word === undefined) return refuse("say what to measure")
  const bench = benches.get(word)
  if (bench === undefined) return refuse(`${JSON.stringify(word)} is not one of ${[...benches.keys()].join(", ")}`)
  if (others.length > 0) return refuse(`one word at a time, not also ${others.join(" ")}`)
  const events = Number(values.events)
  if (!Number.isInteger(events) || events < 1_000) return refuse("--events needs a whole number from 1000")
  const streams = values.streams === undefined ? undefined : Number(values.streams)
  if (streams !== undefined && (!Number.isInteger(streams) || streams < 1_000 || streams % 5 !== 0)) {
    return refuse("--streams needs a whole number from 1000 that 5 divides")
  }
  const { against, brief, json, out, profile } = values
  const run = await bench()
  run({ json, profile, brief, events, out, streams, against })
}

const parsed = (() => {
  try {
    return parse()
  } catch (error) {
    refuse(error instanceof Error ? error.message : String(error))
    return undefined
  }
})()
if (parsed !== undefined) await main(parsed)
