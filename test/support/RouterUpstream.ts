import { readFile, writeFile } from "node:fs/promises"
import * as Http from "node:http"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import OpenAI from "openai"
import { rowsOf, signingSecret, tokenOf } from "./Gravitas.ts"
import { guardianDouble } from "./GuardianDouble.ts"
import { program } from "./Program.ts"
import { type Script, upstream } from "./router/Upstream.ts"
import { temporaryHome } from "./TemporaryHome.ts"
import { migratedDatabase } from "./TestDatabase.ts"

/** The key that the router has for the provider. */
export const upstreamSecret = "sk-upstream-secret"

/** Gatekeeper and router before a provider that a test scripts. */
export const startedBefore = (
  script: Script,
  {
    environment = {},
    shells = "",
    timeouts = "{}"
  }: {
    readonly environment?: Readonly<Record<string, string>>
    /** Lines of the file of models, beside those of `real` and `endless`. */
    readonly shells?: string
    /** The provider's. */
    readonly timeouts?: string
  } = {}
) =>
  Effect.gen(function* () {
    const server = yield* upstream(script)
    const databaseUrl = yield* migratedDatabase
    const guardian = yield* guardianDouble
    const directory = yield* temporaryHome
    const models = Path.join(directory, "models.yaml")
    yield* Effect.promise(() =>
      writeFile(
        models,
        `providers:
  up: { kind: openai-compatible, base_url: "${server.baseUrl}", api_key_env: UP_KEY, timeouts: ${timeouts} }
  echo: { kind: echo }
shells:
  real: { tier: L1, provider: up, model: upstream-name }
  endless: { tier: L1, provider: echo, model: echo-endless }
${shells}`
      )
    )
    const running = yield* program({
      directory,
      args: ["gatekeeper", "router"],
      environment: {
        DATABASE_URL: Redacted.value(databaseUrl),
        JWT_SECRET_KEY: signingSecret,
        GUARDIAN_URL: guardian.url,
        ROUTER_MODELS_PATH: models,
        UP_KEY: upstreamSecret,
        ...environment
      }
    })
    const router = yield* running.url("router")
    const apiKey = yield* Effect.promise(() => tokenOf("Scout"))
    const client = new OpenAI({ baseURL: `${router}/v1`, apiKey, maxRetries: 0 })
    return { server, running, router, apiKey, client, databaseUrl, guardian }
  })

export const messages = [{ role: "user" as const, content: "hi" }]

/** Asks for a stream and reads nothing of it until it is told to. */
export const pausedReader = (router: string, apiKey: string, body: object, requestId = "paused") =>
  Effect.async<Http.IncomingMessage>((resume) => {
    const request = Http.request(
      `${router}/v1/chat/completions`,
      { method: "POST", headers: { authorization: `Bearer ${apiKey}`, "x-request-id": requestId } },
      (response) => {
        response.pause()
        resume(Effect.succeed(response))
      }
    )
    request.end(JSON.stringify(body))
  })

/** Bytes that a process has in memory. */
export const memoryOf = (pid: number) =>
  Effect.promise(async () => {
    return Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024
  })

/** The rows of a request in the trail, once it was cut off. */
export const rowsOfAborted = (databaseUrl: Redacted.Redacted, requestId: string) =>
  rowsOf(databaseUrl, "select * from gatekeeper.audit_log where request_id = $1 order by seq", [requestId]).pipe(
    Effect.delay("20 millis"),
    Effect.repeat({ until: (rows) => rows.at(-1)?.["action"] === "route.aborted" }),
    Effect.timeout("30 seconds"),
    Effect.orDie
  )
