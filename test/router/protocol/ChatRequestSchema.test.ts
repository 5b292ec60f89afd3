import { expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { ChatRequestBody } from "../../../src/contracts/router/ChatSchemas.ts"
import { readChatRequest } from "../../support/router/Calls.ts"

const isOfContract = Schema.is(ChatRequestBody)

const content = FastCheck.oneof(
  FastCheck.string(),
  FastCheck.constantFrom(null, undefined, 7),
  FastCheck.array(
    FastCheck.constantFrom({ type: "text", text: "a" }, { type: "image_url", image_url: {} }, { text: 1 }, "b")
  )
)
const message = FastCheck.record({
  role: FastCheck.constantFrom("user", "assistant", "system", "tool", "robot"),
  content
})
const body = FastCheck.record(
  {
    model: FastCheck.constantFrom("echo", "auto", "", 7),
    messages: FastCheck.oneof(FastCheck.array(message, { maxLength: 3 }), FastCheck.constant("hi")),
    stream: FastCheck.constantFrom(true, false, null, "yes"),
    stream_options: FastCheck.constantFrom({}, { include_usage: true }, { include_usage: 1 }, null, []),
    max_tokens: FastCheck.constantFrom(1, 10_000_000, 0, 1.5, null, "1"),
    complexity: FastCheck.constantFrom(0, 10, 5.5, 11, -1, null),
    priority: FastCheck.constantFrom(0, 1_000, 1_001, null),
    force_tier: FastCheck.constantFrom("L1", "L3", "L4", null, 1),
    temperature: FastCheck.anything()
  },
  { requiredKeys: ["model", "messages"] }
)

it.prop("the contract's schema accepts every chat request that the parser accepts", [body], ([given]) => {
  if (Either.isRight(readChatRequest(given))) expect(isOfContract(given)).toBe(true)
})

it.prop(
  "schema and parser accept the same bodies of those that differ from a valid one in one number",
  [
    FastCheck.constantFrom("max_tokens", "n", "complexity", "priority"),
    FastCheck.double({ min: -5, max: 1.1e7, noNaN: true })
  ],
  ([field, value]) => {
    for (const number of [value, Math.round(value)]) {
      const given = { model: "echo", messages: [{ role: "user", content: "hi" }], [field]: number }
      expect(isOfContract(given)).toBe(Either.isRight(readChatRequest(given)))
    }
  }
)
