import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import { commandsPage } from "./Commands.ts"
import { configurationPage, envExample } from "./Configuration.ts"
import { commonEndpointTable, endpointTable, errorCodeTable } from "./Endpoints.ts"
import { exitCodeTable } from "./ExitCodes.ts"
import { fillBlocks } from "./Markdown.ts"
import { metricTable } from "./Metrics.ts"
import { performancePage } from "./performance/PerformancePage.ts"
import { parseReport } from "./performance/PerformanceReport.ts"
import { pagesOf, shellBlocks } from "./ShellBlocks.ts"

/*
 * `pnpm write:docs` writes the generated documents; with `--check` it writes nothing and exits with 1 when one is stale, or when a shell
 * block is marked `no-run` without a reason.
 */

const project = Path.resolve(import.meta.dirname, "../..")
const isCheck = process.argv.includes("--check")

const blocks: ReadonlyMap<string, () => ReadonlyArray<string>> = new Map([
  ["endpoints gatekeeper", () => endpointTable("gatekeeper")],
  ["endpoints guardian", () => endpointTable("guardian")],
  ["endpoints router", () => endpointTable("router")],
  ["endpoints common", commonEndpointTable],
  ["error codes", errorCodeTable],
  ["exit codes", exitCodeTable],
  ["metrics", () => metricTable(Path.join(project, "src"))]
])

const read = (path: string): string => {
  const absolute = Path.join(project, path)
  return Fs.existsSync(absolute) ? Fs.readFileSync(absolute, "utf8") : ""
}

/** What each document should hold, by its path. */
const wanted = Effect.gen(function* () {
  const whole: ReadonlyArray<readonly [string, string]> = [
    ["docs/configuration.md", yield* configurationPage],
    ["docs/commands.md", commandsPage()],
    ["docs/performance.md", performancePage(parseReport(read("docs/performance.json")))],
    [".env.example", yield* envExample]
  ]
  const generated = new Set(whole.map(([path]) => path))
  const filled = pagesOf(project)
    .filter((path) => !generated.has(path))
    .map((path) => [path, fillBlocks(path, read(path), blocks)] as const)
  return [...whole, ...filled]
})

const shellCount = (): { readonly problems: Array<string>; readonly summary: string } => {
  const found = pagesOf(project).flatMap((path) => shellBlocks(path, read(path)))
  const skipped = found.filter(({ skip }) => skip !== undefined)
  return {
    problems: skipped
      .filter(({ skip }) => skip === "")
      .map(({ line, path }) => `${path}:${line}: no-run needs a reason: \`\`\`sh no-run: <reason>`),
    summary: `${found.length - skipped.length} shell blocks are run by test/docs/Commands.test.ts, ${skipped.length} are no-run`
  }
}

const main = Effect.gen(function* () {
  const stale = (yield* wanted).filter(([path, text]) => read(path) !== text)
  const { problems, summary } = shellCount()
  if (isCheck) problems.push(...stale.map(([path]) => `${path} is stale: run pnpm write:docs`))
  else for (const [path, text] of stale) Fs.writeFileSync(Path.join(project, path), text)
  for (const problem of problems) process.stderr.write(`${problem}\n`)
  process.stdout.write(`${stale.length} documents ${isCheck ? "are stale" : "written"}; ${summary}\n`)
  process.exitCode = problems.length > 0 ? 1 : 0
})

await Effect.runPromise(main)
