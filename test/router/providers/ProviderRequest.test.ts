import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { parseChatRequest } from "../../../src/router/protocol/ChatRequest.ts"
import { providerBody, providerRequests } from "../../../src/router/providers/ProviderRequest.ts"
import { specOf } from "../../support/router/OpenAi.ts"

const callOf = (text: string) => ({
  upstreamModel: "up",
  request: Either.getOrThrow(parseChatRequest(JSON.parse(text), { text, maximumMessages: 10 }))
})

const tools =
  '[{"type":"function","function":{"name":"f","parameters":{"maximum":18446744073709551615, "minimum":1.0}}}]'
const messages = '[{"role":"user","content":"h\\u00e9\\ud83d", "n": 1e400}]'

describe("providerBody", () => {
  it("has the client's bytes in messages, tools and other fields", () => {
    const text = `{"model":"a", "messages": ${messages},"seed":9223372036854775807,"tools":${tools},"temperature":1.0,"user":null}`
    expect(providerBody(specOf("http://x"), callOf(text), true)).toEqual({
      text:
        `{"model":"up","messages":${messages},"seed":9223372036854775807,"tools":${tools},"temperature":1.0,` +
        '"stream":true,"stream_options":{"include_usage":true}}'
    })
  })

  it("has the limit of tokens under the provider's name, and what is the router's own nowhere", () => {
    const text = `{"model":"a","messages":${messages},"max_tokens":5,"complexity":3,"priority":1,"force_tier":"L1"}`
    expect(providerBody(specOf("http://x", { tokenLimit: "max_completion_tokens" }), callOf(text), false)).toEqual({
      text: `{"model":"up","messages":${messages},"max_completion_tokens":5,"stream":false}`
    })
  })

  const rules = [
    ["an OpenAI field", "verbosity", {}, "sent"],
    ["a field that is dropped", "verbosity", { verbosity: "drop" }, "left out"],
    ["an OpenAI field that is refused", "store", { store: "refuse" }, "refused"],
    ["another field", "top_k", {}, "refused"],
    ["another field where all others pass", "top_k", { "*": "pass" }, "sent"],
    ["another field where all others are dropped", "top_k", { "*": "drop" }, "left out"],
    ["an OpenAI field where all others are dropped", "store", { "*": "drop" }, "sent"]
  ] as const
  for (const [what, field, fields, expected] of rules) {
    it(`${what} is ${expected}`, () => {
      const spec = specOf("http://x", { fields: new Map(Object.entries(fields)) })
      const body = providerBody(spec, callOf(`{"model":"a","messages":${messages},"${field}":7}`), false)
      const found = "refused" in body ? "refused" : body.text.includes(`"${field}":7`) ? "sent" : "left out"
      expect(found).toBe(expected)
    })
  }
})

describe("providerRequests", () => {
  it("has the key, the headers and the query of models.yaml", () => {
    const spec = specOf("http://x/v1", {
      apiKeyHeader: "api-key",
      headers: new Map([["x-title", "fleet"]]),
      query: new Map([["api-version", "2024 10"]])
    })
    const { headers, url } = providerRequests(spec, Option.some(Redacted.make("k")))("{}", true)
    expect(url).toBe("http://x/v1/chat/completions?api-version=2024+10")
    expect(headers).toMatchObject({ "api-key": "k", "x-title": "fleet", accept: "text/event-stream" })
    expect(headers).not.toHaveProperty("authorization")
  })
})
