import { describe, expect, it } from "@effect/vitest"
import { keptMessage, withoutDataUrls } from "../../../src/router/history/KeptMessage.ts"

const call = { id: "a", type: "function", function: { name: "wipe_disk", arguments: "{}" } }

describe("keptMessage", () => {
  it.each([
    ["a text", { role: "user", content: "hi" }, null],
    ["a text beside fields that are null", { role: "assistant", content: "hi", refusal: null, tool_calls: null }, null],
    ["no text", { role: "assistant", content: null }, null],
    ["a call of a tool", { role: "assistant", content: null, tool_calls: [call] }, undefined],
    ["the result of a tool", { role: "tool", tool_call_id: "a", content: "done" }, undefined],
    ["a thought", { role: "assistant", content: "4", reasoning_content: "2 and 2" }, undefined]
  ])("keeps %s", (_, message, expected) => {
    expect(keptMessage(message)).toBe(expected === null ? null : JSON.stringify(message))
  })

  it("keeps the kind and the size of an image, not its bytes", () => {
    const data = "A".repeat(1_000)
    const kept = keptMessage({
      role: "user",
      content: [
        { type: "text", text: "what is it?" },
        { type: "image_url", image_url: { url: `data:image/png;base64,${data}` } },
        { type: "input_audio", input_audio: { data, format: "wav" } },
        { type: "image_url", image_url: { url: "https://example.org/cat.png" } }
      ]
    })
    expect(JSON.parse(kept ?? "")).toEqual({
      role: "user",
      content: [
        { type: "text", text: "what is it?" },
        { type: "image_url", image_url: { url: "data:image/png (1022 characters)" } },
        { type: "input_audio", input_audio: { data: "(1000 characters)", format: "wav" } },
        { type: "image_url", image_url: { url: "https://example.org/cat.png" } }
      ]
    })
  })

  it("replaces data URLs of any case, also within a text, and keeps the text around them", () => {
    const data = "A".repeat(1_000)
    const kept = keptMessage({
      role: "user",
      content: [
        { type: "image_url", image_url: { url: `DATA:image/png;base64,${data}` } },
        {
          type: "text",
          text: `data: ![a](data:image/png;base64,${data}) and "Data:;base64,${data}" ${"b".repeat(300)}`
        }
      ]
    })
    expect(JSON.parse(kept ?? "").content).toEqual([
      { type: "image_url", image_url: { url: "data:image/png (1022 characters)" } },
      {
        type: "text",
        text: `data: ![a](data:image/png (1022 characters)) and "data: (1013 characters)" ${"b".repeat(300)}`
      }
    ])
  })

  it("a text that is all of a message is kept without data URLs too", () => {
    expect(withoutDataUrls(`see data:image/png;base64,${"A".repeat(1_000)}.`)).toBe(
      "see data:image/png (1023 characters)"
    )
    expect(withoutDataUrls("data: a, b")).toBe("data: a, b")
  })

  it("keeps a member `data` that is not of an image, audio or a file", () => {
    const data = "word ".repeat(100)
    const message = { role: "assistant", content: [{ type: "report", data }], audio: { id: "a", data } }
    expect(JSON.parse(keptMessage(message) ?? "")).toEqual({ ...message, audio: { id: "a", data: "(500 characters)" } })
  })

  it("is storable as jsonb, whatever its texts and keys hold", () => {
    const odd = { role: "tool", tool_call_id: "\0\ud800", content: "a\\u0000 \\ud800 é 😀", "\udc00": "\u0007" }
    expect(JSON.parse(keptMessage(odd) ?? "")).toEqual({
      role: "tool",
      tool_call_id: "\ufffd\ufffd",
      content: "a\\u0000 \\ud800 é 😀",
      "\ufffd": "\u0007"
    })
  })
})
