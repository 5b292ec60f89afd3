import { describe, expect, it } from "@effect/vitest"
import { makeToolCallIndices, readPart } from "../../../src/router/protocol/ChatPart.ts"

type Call = Readonly<Record<string, unknown>>

const called = (id: string | undefined, name: string | undefined, args: string, index?: number): Call => ({
  ...(index === undefined ? {} : { index }),
  ...(id === undefined ? {} : { id, type: "function" }),
  function: { ...(name === undefined ? {} : { name }), arguments: args }
})

/** The indices of the calls, piece by piece; each piece is of one choice. */
const indicesOf = (...pieces: ReadonlyArray<{ readonly choice?: number; readonly calls: ReadonlyArray<Call> }>) => {
  const indexed = makeToolCallIndices()
  return pieces.map(({ calls, choice = 0 }) => {
    const part = readPart({ choices: [{ index: choice, delta: { tool_calls: calls } }] }, "delta")
    if (part === undefined) throw new Error("it is a part")
    const text = JSON.stringify(indexed(part).choices)
    return [...text.matchAll(/"index":(\d+)/g)].slice(1).map(([, index]) => Number(index))
  })
}

describe("the index of a call", () => {
  const cases = [
    ["that has one is left", [[called("a", "f", "{}", 3)], [called("b", "g", "{}", 1)]], [[3], [1]]],
    ["is the place among the calls of one piece", [[called("a", "f", "{}"), called("b", "f", "{}")]], [[0, 1]]],
    ["goes on over the pieces", [[called("a", "f", "{}")], [called("b", "f", "{}")]], [[0], [1]]],
    ["goes on where there are no ids", [[called("", "f", "{}")], [called(undefined, "g", "{}")]], [[0], [1]]],
    [
      "stays for further pieces of a call",
      [[called("a", "f", "{")], [called(undefined, undefined, "}")], [called("a", "f", "")], [called("b", "g", "{}")]],
      [[0], [0], [0], [1]]
    ],
    ["goes on after those that have one", [[called("a", "f", "{}", 1)], [called("b", "g", "{}")]], [[1], [2]]]
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

  it("a part without tool calls is unchanged", () => {
    const choices = [{ index: 0, delta: { content: "a", tool_calls: null } }, { index: 1 }]
    const part = readPart({ choices }, "delta")
    expect(part && makeToolCallIndices()(part)).toEqual(part)
  })
})
