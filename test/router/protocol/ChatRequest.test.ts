import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { textOf } from "../../../src/router/protocol/ChatRequest.ts"
import { readChatRequest } from "../../support/router/Calls.ts"

const user = { role: "user", content: "hi" }
const valid = { model: "echo", messages: [user] }
const parsed = (body: unknown) => Either.getOrThrow(readChatRequest(body))
const refused = (body: unknown) => Either.getOrThrow(Either.flip(readChatRequest(body)))

describe("parseChatRequest", () => {
  it("has the old system's defaults, but for a limit of tokens that the client did not name", () => {
    expect(parsed(valid)).toEqual({
      model: "echo",
      messages: [{ role: "user", raw: user }],
      stream: false,
      includeUsage: false,
      complexity: 5,
      priority: 10,
      forceTier: undefined,
      maxTokens: undefined,
      choices: 1,
      text: JSON.stringify(valid)
    })
  })

  it("a field that is null counts as left out", () => {
    expect(parsed({ ...valid, max_tokens: 7, max_completion_tokens: null }).maxTokens).toBe(7)
    expect(parsed({ ...valid, max_tokens: null }).maxTokens).toBeUndefined()
  })

  it("the limit of tokens has two names, of which the newer one wins", () => {
    expect(parsed({ ...valid, max_completion_tokens: 5 })).toMatchObject({ maxTokens: 5 })
    expect(parsed({ ...valid, max_tokens: 7, max_completion_tokens: 5 })).toMatchObject({ maxTokens: 5 })
  })

  it("the old system's fields are accepted", () => {
    const old = { ...valid, complexity: 9, priority: 1, force_tier: "L3", stream: true, max_tokens: 7 }
    expect(parsed(old)).toMatchObject({
      complexity: 9,
      priority: 1,
      forceTier: "L3",
      stream: true,
      maxTokens: 7
    })
    expect(parsed({ ...valid, force_tier: "l2" }).forceTier).toBe("L2")
    expect(parsed({ ...valid, force_tier: null }).forceTier).toBeUndefined()
  })

  it("keeps all messages as they came, parts and calls of tools included (fault 12)", () => {
    const messages = [
      { role: "system", content: "s" },
      {
        role: "user",
        content: [
          { type: "text", text: "a" },
          { type: "image_url", image_url: { url: "data:," } },
          { type: "text", text: "b" }
        ]
      },
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }]
      },
      { role: "tool", tool_call_id: "1", content: "4" }
    ]
    const request = parsed({ ...valid, messages })
    expect(request.messages.map(({ raw }) => raw)).toEqual(messages)
    expect(request.messages.map(textOf)).toEqual(["s", "a\nb", null, "4"])
  })

  const deep = (levels: number): unknown => (levels === 0 ? 1 : { a: deep(levels - 1) })
  const cases: ReadonlyArray<readonly [string, unknown, string | null, string]> = [
    ["a list", [], null, "must be a JSON object"],
    ["null", null, null, "must be a JSON object"],
    ["no model", { messages: [user] }, "model", "is missing"],
    ["an empty model", { ...valid, model: "" }, "model", "empty"],
    ["a model with a line break", { ...valid, model: "a\nb" }, "model", "control characters"],
    ["a model that is not a text", { ...valid, model: 7 }, "model", "must be a text"],
    ["half a character", { ...valid, model: "a\ud800" }, "model", "well-formed"],
    ["no messages", { model: "echo" }, "messages", "is missing"],
    ["messages that are none", { ...valid, messages: "hi" }, "messages", "must be a list"],
    ["an empty conversation", { ...valid, messages: [] }, "messages", "must not be empty"],
    ["too many messages", { ...valid, messages: Array(1_001).fill(user) }, "messages", "at most 1000"],
    ["a message that is not an object", { ...valid, messages: [user, 7] }, "messages[1]", "must be an object"],
    ["an unknown role", { ...valid, messages: [{ role: "root", content: "" }] }, "messages[0].role", "must be one of"],
    ["a user who says nothing", { ...valid, messages: [{ role: "user" }] }, "messages[0].content", "is missing"],
    [
      "content that is a number",
      { ...valid, messages: [{ role: "user", content: 7 }] },
      "messages[0].content",
      "text or a list"
    ],
    ["a part without type", { ...valid, messages: [{ role: "user", content: [{}] }] }, "messages[0].content", '"type"'],
    ["a stream that is a text", { ...valid, stream: "yes" }, "stream", "true or false"],
    ["options that are none", { ...valid, stream_options: 1 }, "stream_options", "must be an object"],
    ["no tokens", { ...valid, max_tokens: 0 }, "max_tokens", "an integer from 1"],
    ["half a token", { ...valid, max_completion_tokens: 1.5 }, "max_completion_tokens", "an integer"],
    ["no choice", { ...valid, n: 0 }, "n", "an integer from 1 to 128"],
    ["129 choices", { ...valid, n: 129 }, "n", "an integer from 1 to 128"],
    ["complexity 11", { ...valid, complexity: 11 }, "complexity", "from 0 to 10"],
    ["an unknown tier", { ...valid, force_tier: "L4" }, "force_tier", "must be one of L1, L2, L3"],
    ["what nests too deep", { ...valid, tools: [deep(80)] }, null, "nested deeper than 64"]
  ]
  for (const [what, body, param, problem] of cases) {
    it(`refuses ${what}`, () => {
      const error = refused(body)
      expect(error.param).toBe(param)
      expect(error.problem).toContain(problem)
    })
  }

  it.prop("reads or refuses whatever JSON there is", [FastCheck.jsonValue()], ([body]) => {
    const fields = typeof body === "object" && body !== null ? body : {}
    for (const one of [body, { ...valid, ...fields }, { ...valid, messages: body }, { ...valid, messages: [body] }]) {
      const result = readChatRequest(one)
      if (Either.isLeft(result)) expect(result.left.problem).not.toBe("")
      else expect(result.right.messages.length).toBeGreaterThan(0)
    }
  })
})
