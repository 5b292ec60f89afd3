import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"

/** The folder of the clients' packages, which the main install does not have. */
const folder = import.meta.dirname

/** A client of the trials, by the package that it is. */
export interface TrialClient {
  readonly name: string
  readonly version: string
}

const packages = {
  "openai-4": "openai-4",
  "openai-5": "openai-5",
  "openai-6": "openai-6",
  "ai-5": "ai-5",
  "ai-7": "ai-7",
  langchain: "@langchain/openai",
  agents: "@openai/agents",
  llamaindex: "@llamaindex/openai"
} as const

export const clientNames: ReadonlyArray<string> = Object.keys(packages)

/** The clients of a short run: the latest of the two that are used most. */
export const briefNames: ReadonlyArray<string> = ["openai-6", "ai-7"]

/** Of package.json: each is exact, and an alias is `npm:name@version`. */
export const clientsOf = (names: ReadonlyArray<string>): ReadonlyArray<TrialClient> => {
  const { dependencies }: { readonly dependencies: Readonly<Record<string, string>> } = JSON.parse(
    readFileSync(join(folder, "package.json"), "utf8")
  )
  return Object.entries(packages)
    .filter(([name]) => names.includes(name))
    .map(([name, wanted]) => ({ name, version: dependencies[wanted]?.replace(/^npm:.*@/, "") ?? "unknown" }))
}

/** Installs the clients by their lockfile; quick where they are installed. Returns the problem, if one occurs. */
export const installClients = (): string | undefined => {
  const pnpm = process.env["npm_execpath"]
  const words = ["install", "--frozen-lockfile", "--ignore-workspace", "--prefer-offline"]
  const isScript = pnpm !== undefined && /\.c?js$/.test(pnpm)
  const [command, ...before] = isScript ? [process.execPath, pnpm] : [pnpm ?? "pnpm"]
  const { error, status, stderr, stdout } = spawnSync(command, [...before, ...words], {
    cwd: folder,
    encoding: "utf8",
    timeout: 240_000
  })
  if (status === 0) return undefined
  return (
    error?.message ?? `pnpm ${words.join(" ")} failed: ${`${stdout}${stderr}`.trim().split("\n").slice(-3).join(" ")}`
  )
}
