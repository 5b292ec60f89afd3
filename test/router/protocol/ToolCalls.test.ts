import { describe, expect, it } from "@effect/vitest"
import { makeChunkReader } from "../../../src/router/protocol/ChatChunks.ts"

type Call = Readonly<Record<string, unknown>>

const called = (id: string | undefined, name: string | undefined, args: string, index?: number): Call => ({
  ...(index === undefined ? {} : { index }),
  ...(id === undefined ? {} : { id, type: "function" }),
  function: { ...(name === undefined ? {} : { name }), arguments: args }
})

/** The indices of the calls, piece by piece; each piece is of one choice. */
const indicesOf = (...pieces: ReadonlyArray<{ readonly choice?: number; readonly calls: ReadonlyArray<Call> }>) => {
  let made = 0
  const chunks = makeChunkReader(() => `made-${++made}`)
  return pieces.map(({ calls, choice = 0 }) => {
    const value = { choices: [{ index: choice, delta: { tool_calls: calls } }] }
    const part = chunks.read(value, JSON.stringify(value))
    if (typeof part !== "object") throw new Error("it is a part")
    return [...part.choicesText.matchAll(/"index":(\d+)/g)].slice(1).map(([, index]) => Number(index))
  })
}

describe("the index of a call", () => {
  const cases = [
    ["counts from 0", [[called("a", "f", "{}", 3)], [called("b", "g", "{}", 1)]], [[0], [1]]],
    ["is the place among the calls of one piece", [[called("a", "f", "{}"), called("b", "f", "{}")]], [[0, 1]]],
    ["goes on over the pieces", [[called("a", "f", "{}")], [called("b", "f", "{}")]], [[0], [1]]],
    ["goes on where there are no ids", [[called("", "f", "{}")], [called(undefined, "g", "{}")]], [[0], [1]]],
    [
      "stays for further pieces of a call",
      [[called("a", "f", "{")], [called(undefined, undefined, "}")], [called("a", "f", "")], [called("b", "g", "{}")]],
      [[0], [0], [0], [1]]
    ],
    [
      "is that of the latest call under an index that calls share",
      [
        [called("a", "f", "{", 0)],
        [called(undefined, undefined, "}", 0)],
        [called("b", "f", "{", 0)],
        [called(undefined, undefined, "}", 0)]
      ],
      [[0], [0], [1], [1]]
    ],
    [
      "is that of the call whose pieces come between those of another",
      [
        [called("a", "f", "", 1), called("b", "g", "", 2)],
        [called(undefined, undefined, "{}", 2)],
        [called(undefined, undefined, "{}", 1)]
      ],
      [[0, 1], [1], [0]]
    ],
    [
      "is that of the call under the same index where calls share an id",
      [
        [called("a", "f", "{}", 0)],
        [called("a", "g", "{", 1)],
        [called("a", undefined, "}", 1)],
        [called("a", "f", "", 0)]
      ],
      [[0], [1], [1], [0]]
    ],
    [
      "starts again where the arguments before are whole, and the name comes again without an id",
      [
        [called("", "f", '{"a":"}"', 0)],
        [called("", "f", "}", 0)],
        [called("", "f", "{", 0)],
        [called("", "f", "}", 0)]
      ],
      [[0], [0], [1], [1]]
    ]
  ] as const
  for (const [what, pieces, indices] of cases) {
    it(what, () => expect(indicesOf(...pieces.map((calls) => ({ calls })))).toEqual(indices))
  }

  it("indices count for each choice by itself", () => {
    const calls = [called("a", "f", "{}")]
    expect(indicesOf({ calls }, { choice: 1, calls }, { choice: 1, calls: [called("b", "f", "{}")] })).toEqual([
      [0],
      [0],
      [1]
    ])
  })

  const read = (value: object) => {
    const chunks = makeChunkReader(() => "made")
    return chunks.read(value, JSON.stringify(value))
  }
  const callsOf = (count: number) => Array.from({ length: count }, (_, i) => called(`id-${i}`, "f", "{}"))
  const limits: ReadonlyArray<readonly [string, object, isRead: boolean]> = [
    ["128 choices are read", { choices: Array.from({ length: 128 }, () => ({ delta: {} })) }, true],
    ["more choices are refused", { choices: Array.from({ length: 129 }, () => ({ delta: {} })) }, false],
    ["128 calls of a choice are read", { choices: [{ delta: { tool_calls: callsOf(128) } }] }, true],
    ["more calls of a choice are refused", { choices: [{ delta: { tool_calls: callsOf(129) } }] }, false],
    ["a long id is read", { choices: [{ delta: { tool_calls: [called("i".repeat(16_384), "f", "")] } }] }, true],
    ["a longer id is refused", { choices: [{ delta: { tool_calls: [called("i".repeat(16_385), "f", "")] } }] }, false]
  ]
  for (const [what, value, isRead] of limits) it(what, () => expect(read(value) !== undefined).toBe(isRead))

  it("a chunk in OpenAI's form keeps its bytes", () => {
    const choices =
      '[{"index":0,"delta":{"role":"assistant","content":"a","tool_calls":null},"finish_reason":null,"n":1.0}]'
    const text = `{"id":"x", "choices": ${choices} }`
    expect(makeChunkReader(() => "").read(JSON.parse(text), text)).toMatchObject({ choicesText: choices })
  })
})
