import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { eventually } from "../support/Eventually.ts"
import { rowsOf } from "../support/Gravitas.ts"
import { startedBefore } from "../support/RouterUpstream.ts"
import { piece } from "../support/router/behaviours/Behaviour.ts"
import { answering, completion, delta, events, streaming } from "../support/router/Upstream.ts"

const origin = "https://app.example"
const call = { id: "a", type: "function", function: { name: "wipe_disk", arguments: "{}" } }

const wiping = {
  object: "chat.completion",
  choices: [
    {
      index: 0,
      message: { role: "assistant", content: null, reasoning: "why not", tool_calls: [call] },
      finish_reason: "tool_calls"
    },
    { index: 1, message: { role: "assistant", content: "no" }, finish_reason: "stop" }
  ],
  usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 }
}

/** The models of the provider, each with a behaviour. */
const shells = ["thinks", "thinks-in-vain", "wipes", "is-cut"]
  .map((name) => `  ${name}: { tier: L1, provider: up, model: ${name} }\n`)
  .join("")

const started = startedBefore(
  (request, response) => {
    switch (request.body["model"]) {
      case "thinks":
        return void setTimeout(() => streaming(events(delta("at last", "stop"), "[DONE]"))(request, response), 1_500)
      case "thinks-in-vain":
        return void setTimeout(() => answering(500, "")(request, response), 1_500)
      case "wipes":
        return answering(200, wiping)(request, response)
      case "is-cut":
        return streaming(
          events(piece({ role: "assistant", content: "12345678", tool_calls: [{ index: 0, ...call }] }))
        )(request, response)
      default:
        return answering(200, completion("hello"))(request, response)
    }
  },
  {
    shells,
    environment: {
      ROUTER_STORE_CONTENT: "true",
      ROUTER_KEEP_ALIVE: "300ms",
      ROUTER_CORS_ORIGINS: `https://other.example,${origin}`
    }
  }
)

it.scopedLive(
  "clients get comments while a model thinks, one model by its name, and CORS where it is set; the history keeps what was said",
  () =>
    Effect.gen(function* () {
      const { apiKey, client, databaseUrl, router } = yield* started
      const headers = { authorization: `Bearer ${apiKey}` }
      const ask = (model: string, stream: boolean) =>
        Effect.promise(async () => {
          const body = JSON.stringify({ model, stream, messages: [{ role: "user", content: "what is the time?" }] })
          const response = await fetch(`${router}/v1/chat/completions`, {
            method: "POST",
            headers: { ...headers, "x-request-id": model },
            body
          })
          return { response, text: await response.text() }
        })
      const historyOf = (id: string, count: number) =>
        eventually(
          rowsOf(databaseUrl, "select * from router.history where request_id = $1 order by id", [id]),
          (rows) => rows.length >= count,
          { every: "50 millis", within: "30 seconds" }
        )

      const thinks = yield* ask("thinks", true)
      expect(thinks.response.status).toBe(200)
      expect(thinks.response.headers.get("x-accel-buffering")).toBe("no")
      expect(thinks.text).toMatch(/^(: keep-alive\n\n){2,}data: \{.*"at last".*\}\n\ndata: \[DONE\]\n\n$/)
      const vain = yield* ask("thinks-in-vain", true)
      expect(vain.response.status).toBe(200)
      expect(vain.text).toMatch(/^(: keep-alive\n\n)+data: \{"error":\{.*"code":"provider_failed".*\}\}\n\n$/)
      const early = yield* ask("thinks-in-vain", false)
      expect(early.response.status).toBe(502)

      const { id, object } = yield* Effect.promise(() => client.models.retrieve("wipes"))
      expect([id, object]).toEqual(["wipes", "model"])
      const missing = yield* Effect.promise(() => client.models.retrieve("gpt-9").catch((error: unknown) => error))
      expect(missing).toMatchObject({ status: 404, code: "model_not_found" })

      const preflight = (from: string) =>
        Effect.promise(() =>
          fetch(`${router}/v1/chat/completions`, {
            method: "OPTIONS",
            headers: {
              origin: from,
              "access-control-request-method": "POST",
              "access-control-request-headers": "authorization,content-type,x-stainless-os"
            }
          })
        )
      const allowed = yield* preflight(origin)
      expect(allowed.status).toBe(204)
      expect(allowed.headers.get("access-control-allow-origin")).toBe(origin)
      expect(allowed.headers.get("access-control-allow-methods")).toBe("POST")
      expect(allowed.headers.get("access-control-allow-headers")).toContain("x-stainless-os")
      const foreign = yield* preflight("https://evil.example")
      expect(foreign.status).toBe(403)
      expect(foreign.headers.get("access-control-allow-origin")).toBeNull()
      const fromPage = yield* Effect.promise(() => fetch(`${router}/v1/models`, { headers: { ...headers, origin } }))
      expect(fromPage.status).toBe(200)
      expect(fromPage.headers.get("access-control-allow-origin")).toBe(origin)

      yield* ask("wipes", false)
      const [asked, first, second] = yield* historyOf("wipes", 3)
      expect(asked).toMatchObject({ role: "user", content: "what is the time?", message: null })
      expect(first).toMatchObject({
        role: "assistant",
        content: null,
        finish_reason: "tool_calls",
        message: { reasoning: "why not", tool_calls: [call] },
        completion_tokens: 2,
        usage_estimated: false
      })
      expect(second).toMatchObject({ role: "assistant", content: "no", finish_reason: "stop", completion_tokens: null })
      yield* ask("is-cut", true)
      expect((yield* historyOf("is-cut", 2))[1]).toMatchObject({
        content: "12345678",
        outcome: "failed",
        message: { tool_calls: [call] },
        prompt_tokens: 5,
        usage_estimated: true
      })
      const metrics = yield* Effect.promise(async () => (await fetch(`${router}/metrics`)).text())
      expect(metrics).toMatch(/router_tokens_total\{[^}]*shell="wipes"[^}]*\} \d/)
      const calls = [
        ...metrics.matchAll(/router_provider_calls_total\{.*shell="([^"]*)".*outcome="([^"]*)".*\} (\d+)/g)
      ]
      expect(calls.map(([, shell, outcome, count]) => [shell, outcome, count])).toEqual([
        ["thinks", "answered", "1"],
        ["thinks-in-vain", "broken", "2"],
        ["wipes", "answered", "1"],
        ["is-cut", "broken", "1"]
      ])
    }),
  90_000
)
