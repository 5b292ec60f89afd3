import * as Effect from "effect/Effect"
import OpenAI from "openai"

/** Shells that answer, fail and hang, each at once. */
export const echoModels = `
providers:
  echo: { kind: echo, timeouts: { first_byte: 300ms, idle: 300ms, total: 2s } }
  slow: { kind: echo }
  busy: { kind: echo }
  failing: { kind: echo }
  keyless: { kind: openai-compatible, base_url: "http://127.0.0.1:9/v1", api_key_env: NO_SUCH_KEY }
shells:
  echo: { tier: L1, provider: echo }
  echo-slow: { tier: L1, provider: slow }
  fails-before: { tier: L1, provider: failing, model: echo-fails-before }
  fails-after: { tier: L1, provider: echo, model: echo-fails-after }
  hangs: { tier: L1, provider: echo, model: echo-hangs }
  busy: { tier: L1, provider: busy, model: echo-busy }
  keyless: { tier: L1, provider: keyless }
  "vendor/great": { tier: L3, provider: echo, model: echo }
ghosts:
  Librarian: { preferred_shell: fails-before, fallback_shells: [vendor/great, echo] }
  Scout: { preferred_shell: vendor/great, fallback_shells: [echo] }
`

/** A conversation of one question. */
export const user = (content: string) => [{ role: "user" as const, content }]

/** What the call fails with, as the official client tells it. */
export const failing = (call: () => PromiseLike<unknown>) =>
  Effect.promise(async () => {
    try {
      await call()
    } catch (error) {
      if (error instanceof OpenAI.APIError) return error
      throw error
    }
    throw new Error("it did not fail")
  })

export const requestIdOf = (error: InstanceType<typeof OpenAI.APIError>) => error.headers?.get("x-request-id") ?? ""
