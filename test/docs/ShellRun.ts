import { spawn } from "node:child_process"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import type { ShellBlock } from "../../scripts/docs/ShellBlocks.ts"
import { commandFor, tsxLoader } from "../support/Program.ts"

/** How a block ended. */
export interface BlockResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
  /** Statuses from 400 that its `curl`s were answered, in order. */
  readonly refusals: ReadonlyArray<string>
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** `pnpm` as the documents use it: `gravitas <command>`, `migrate` and `tsx src/main.ts` run the program under test, tsx examples. */
const pnpmScript = (): string => {
  const program = commandFor("src/main.ts").map(quoted).join(" ")
  const tsx = [process.execPath, "--import", tsxLoader].map(quoted).join(" ")
  return `#!/usr/bin/env bash
while [ "\${1:-}" = -s ] || [ "\${1:-}" = --silent ]; do shift; done
case "\${1:-}" in
  gravitas) shift ;;
  migrate) ;;
  tsx)
    shift
    case "\${1:-}" in examples/*) exec ${tsx} "$@" ;; esac
    shift ;;
  *) echo "pnpm \${1:-}: mark its block no-run" >&2; exit 64 ;;
esac
exec ${program} "$@"
`
}

/** `curl` that notes statuses from 400: without -f they would go unseen. */
const curlScript = (realCurl: string): string => `#!/usr/bin/env bash
body=$(mktemp) || exit 70
trap 'rm -f "$body"' EXIT
status=$(${quoted(realCurl)} "$@" -o "$body" -w '%{http_code}'); code=$?
cat "$body"
case "$status" in 4??|5??) echo "$status" >> "$DOCS_REFUSALS" ;; esac
exit $code
`

/** Writes the commands that stand in for the reader's own, and returns the directory to put first in `PATH`. */
export const makeCommands = (directory: string, realCurl: string): Effect.Effect<string> =>
  Effect.promise(async () => {
    const bin = Path.join(directory, "bin")
    await Fs.mkdir(bin, { recursive: true })
    await Fs.writeFile(Path.join(bin, "pnpm"), pnpmScript(), { mode: 0o755 })
    await Fs.writeFile(Path.join(bin, "curl"), curlScript(realCurl), { mode: 0o755 })
    return bin
  })

const boundary = "@@documents"

/** One shell for a page, so that a variable of one block is there in the next. A block that fails ends the page. */
const scriptOf = (blocks: ReadonlyArray<ShellBlock>): string =>
  blocks
    .map(
      ({ script }, index) => `export DOCS_REFUSALS="$DOCS_DIRECTORY/refusals-${index}"; : > "$DOCS_REFUSALS"
set -eo pipefail
${script}
set +e
echo; echo "${boundary}"; echo "${boundary}" >&2
`
    )
    .join("\n")

const collect = (script: string, options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv }) =>
  Effect.async<{ readonly code: number; readonly stdout: string; readonly stderr: string }>((resume) => {
    const child = spawn("bash", ["-c", script], { ...options, stdio: ["ignore", "pipe", "pipe"] })
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      stdout += chunk
    })
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      stderr += chunk
    })
    child.once("close", (code) => resume(Effect.succeed({ code: code ?? 1, stdout, stderr })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** Runs the blocks of a page in order; those behind a failed one have no result. */
export const runBlocks = (
  blocks: ReadonlyArray<ShellBlock>,
  options: { readonly directory: string; readonly environment: Readonly<Record<string, string>> }
): Effect.Effect<ReadonlyArray<BlockResult>> =>
  Effect.gen(function* () {
    const { directory, environment } = options
    const { code, stderr, stdout } = yield* collect(scriptOf(blocks), {
      cwd: directory,
      env: { ...environment, DOCS_DIRECTORY: directory }
    })
    const outputs = stdout.split(`\n${boundary}\n`)
    const errors = stderr.split(`${boundary}\n`)
    return yield* Effect.forEach(blocks.slice(0, outputs.length - (code === 0 ? 1 : 0)), (_, index) =>
      Effect.promise(() => Fs.readFile(Path.join(directory, `refusals-${index}`), "utf8")).pipe(
        Effect.map((refusals) => ({
          exitCode: index < outputs.length - 1 ? 0 : code,
          stdout: outputs[index] ?? "",
          stderr: errors[index] ?? "",
          refusals: refusals.split("\n").filter((one) => one !== "")
        }))
      )
    )
  })

/** The statuses that a block announces in its comments: `# 401, and recorded`. */
export const announcedRefusals = (script: string): ReadonlyArray<string> =>
  [...script.matchAll(/#\s*([45]\d\d)\b/g)].map(([, status]) => status ?? "")

/** An expected output as a pattern: `…` is any text, white space is equal to any other, line breaks of JSON do not count. */
export const outputPattern = (expected: string): RegExp => {
  const escaped = expected
    .trim()
    .split(/(…|\s+)/)
    .map((part) =>
      part === "…" ? "[\\s\\S]*?" : /^\s+$/.test(part) ? "\\s*" : part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")
    )
    .join("")
  return new RegExp(`^\\s*${escaped}\\s*$`)
}
