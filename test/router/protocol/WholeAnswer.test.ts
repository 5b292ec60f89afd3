import { describe, expect, it } from "@effect/vitest"
import { makeWholeAnswer } from "../../../src/router/protocol/WholeAnswer.ts"

const collect = (maximumLength: number, ...choices: ReadonlyArray<Readonly<Record<string, unknown>>>) => {
  const whole = makeWholeAnswer(maximumLength)
  for (const choice of choices) whole.add({ choices: [{ index: 0, ...choice }] })
  return whole.choices()
}

describe("a whole answer", () => {
  const numbered = (make: (i: number) => Readonly<Record<string, unknown>>) =>
    Array.from({ length: 500 }, (_, i) => make(i))
  const bounded: ReadonlyArray<readonly [string, ReadonlyArray<Readonly<Record<string, unknown>>>]> = [
    ["keys", numbered((i) => ({ delta: { [`key-${i}`]: 1 } }))],
    ["keys beside the message", numbered((i) => ({ [`key-${i}`]: null }))],
    ["keys of one part", [{ delta: Object.fromEntries(numbered((i) => ({ i })).map((_, i) => [`key-${i}`, true])) }]],
    ["empty calls", numbered((index) => ({ delta: { tool_calls: [{ index }] } }))],
    ["an id", [{ delta: { tool_calls: [{ index: 0, id: "i".repeat(9_000) }] } }]],
    ["texts", numbered(() => ({ delta: { content: "a".repeat(20) } }))]
  ]
  for (const [what, choices] of bounded) {
    it(`is bounded by its length where a provider sends many ${what}`, () => {
      expect(JSON.stringify(collect(1_000, ...choices)).length).toBeLessThan(1_500)
    })
  }

  it("has each text once where parts have a message of all so far beside the delta", () => {
    const begin = { delta: { role: "assistant", content: "" }, message: { role: "assistant", content: "" } }
    const parts = [
      begin,
      { delta: { content: "He" }, message: { content: "He" } },
      { delta: { content: "llo" }, message: { content: "Hello" } },
      { delta: {}, message: { content: "Hello" } }
    ]
    expect(collect(1_000, ...parts)).toMatchObject([{ message: { content: "Hello" } }])
    expect(collect(1_000, { delta: { role: "assistant" }, message: { content: "Hello" } })).toMatchObject([
      { message: { content: "Hello" } }
    ])
  })

  it("keeps all that fits", () => {
    const call = { index: 0, id: "a", type: "function", function: { name: "f", arguments: "{}" } }
    expect(collect(1_000, { delta: { content: "a" } }, { delta: { content: "b", tool_calls: [call] }, n: 1 })).toEqual([
      {
        index: 0,
        message: {
          role: "assistant",
          content: "ab",
          tool_calls: [{ id: "a", type: "function", function: { name: "f", arguments: "{}" } }]
        },
        finish_reason: null,
        n: 1
      }
    ])
  })
})
