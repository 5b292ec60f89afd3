/** Each loaded when it is asked for: what one bench imports must not weigh on another. */
const benches = new Map([
  ["audit", async () => (await import("./Audit.ts")).auditBench],
  ["migrate", async () => (await import("./Migrate.ts")).migrateBench]
])

const [name = "", ...options] = process.argv.slice(2)
const bench = benches.get(name)
if (bench === undefined) {
  console.error(`usage: pnpm bench <${[...benches.keys()].join("|")}> [--json]`)
  process.exitCode = 2
} else {
  const run = await bench()
  run({ json: options.includes("--json") })
}
