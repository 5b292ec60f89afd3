import { spawn } from "node:child_process"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { eventually } from "../../test/support/Eventually.ts"
import { program } from "../../test/support/Program.ts"
import { upstream } from "../../test/support/router/Upstream.ts"
import { temporaryHome } from "../../test/support/TemporaryHome.ts"
import { signingSecret, tokenOf } from "../../test/support/Tokens.ts"
import type { TrialClient } from "./Packages.ts"
import { trialModels, trialProvider } from "./TrialProvider.ts"

export interface TrialResult extends TrialClient {
  readonly trial: string
  readonly verdict: "passed" | "failed" | "not offered"
  /** Why it failed; else empty. */
  readonly detail: string
}

type Line = Omit<TrialResult, "name" | "version">

/** The ghost of the trials: it may use the shells of L1. */
const ghost = "Scout"

const certify = (guardian: string) =>
  Effect.promise(async () => {
    const response = await fetch(`${guardian}/certificates`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${await tokenOf("Supervisor_Managed_Agent")}`,
        "content-type": "application/json"
      },
      body: JSON.stringify({ agent: ghost, valid_for: "1d" })
    })
    if (!response.ok) throw new Error(`${ghost} is not certified: ${await response.text()}`)
  })

/** The three services on an embedded PostgreSQL, before a provider on loopback; the ghost is certified. */
const started = Effect.gen(function* () {
  const provider = yield* upstream(trialProvider)
  const directory = yield* temporaryHome
  const models = join(directory, "models.yaml")
  yield* Effect.promise(() => writeFile(models, trialModels(provider.baseUrl)))
  const running = yield* program({
    directory,
    environment: {
      GRAVITAS_HOME: join(directory, "home"),
      JWT_SECRET_KEY: signingSecret,
      ROUTER_MODELS_PATH: models
    }
  })
  const router = yield* running.url("router")
  const guardian = yield* running.url("guardian")
  yield* certify(guardian)
  return { provider, router, token: yield* Effect.promise(() => tokenOf(ghost)) }
})

interface Ended {
  readonly output: string
  readonly errors: string
  readonly code: number | null
}

const runClient = (name: string, router: string, token: string) =>
  Effect.async<Ended>((resume) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, "trials/Trials.mjs"), name], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"], ROUTER_URL: router, TOKEN: token },
      timeout: 60_000
    })
    let output = ""
    let errors = ""
    child.stdout.setEncoding("utf8").on("data", (piece: string) => {
      output += piece
    })
    child.stderr.setEncoding("utf8").on("data", (piece: string) => {
      errors += piece
    })
    child.once("close", (code) => resume(Effect.succeed({ output, errors, code })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const linesOf = ({ code, errors, output }: Ended): ReadonlyArray<Line> => {
  const lines: ReadonlyArray<Line> = output
    .split("\n")
    .filter((one) => one.startsWith('{"trial":'))
    .map((one) => JSON.parse(one))
  if (code === 0 && lines.length > 0) return lines
  const detail = `the client's process ended with ${code}: ${errors.trim().split("\n").slice(-6).join(" ")}`
  return [...lines, { trial: "process", verdict: "failed", detail }]
}

/** Runs all trials of the clients, one client after the other. `progress` gets a client's name before its trials. */
export const runTrials = (clients: ReadonlyArray<TrialClient>, progress: (name: string) => void) =>
  Effect.gen(function* () {
    const { provider, router, token } = yield* started
    return yield* Effect.forEach(clients, (client) =>
      Effect.gen(function* () {
        progress(client.name)
        const before = provider.hangUps()
        const lines = linesOf(yield* runClient(client.name, router, token))
        // An abort counts when it reaches the provider.
        const isEnded = yield* eventually(Effect.sync(provider.hangUps), (count) => count > before, {
          within: "5 seconds"
        }).pipe(
          Effect.as(true),
          Effect.catchAllDefect(() => Effect.succeed(false))
        )
        return lines.map((line): TrialResult => {
          const isFailed = line.trial === "abort" && line.verdict === "passed" && !isEnded
          return {
            ...client,
            ...line,
            ...(isFailed ? { verdict: "failed", detail: "the provider's answer went on" } : {})
          }
        })
      })
    )
  }).pipe(
    Effect.map((results) => results.flat()),
    Effect.scoped
  )
