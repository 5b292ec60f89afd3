import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { makeSseParser, maximumEventLength } from "../../../src/router/providers/SseParser.ts"

const read = (pieces: ReadonlyArray<Uint8Array>) => {
  const parser = makeSseParser()
  const read = [...pieces.map(parser.push), parser.end()].map(Either.getOrThrow)
  return read.flatMap(({ events }) => events)
}
const bytes = (text: string) => new TextEncoder().encode(text)
const dataOf = (text: string) => read([bytes(text)]).map(({ data }) => data)

describe("SseParser", () => {
  const cases: ReadonlyArray<readonly [string, string, ReadonlyArray<string>]> = [
    ["an event", "data: a\n\n", ["a"]],
    ["without the space", "data:a\n\n", ["a"]],
    ["only one space is taken", "data:  a\n\n", [" a"]],
    ["carriage returns and line feeds", "data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]],
    ["carriage returns alone", "data: a\r\rdata: b\r\r", ["a", "b"]],
    ["comments", ": OPENROUTER PROCESSING\n\ndata: a\n:x\n\n", ["a"]],
    ["several lines", "data: a\ndata: b\n\n", ["a\nb"]],
    ["other fields", "id: 1\nretry: 5\nwhatever\ndata: a\n\n", ["a"]],
    ["lines that end in different ways", "data: a\r\ndata: b\n\ndata: c\n\n", ["a\nb", "c"]],
    ["a byte order mark", "\ufeffdata: a\n\n", ["a"]],
    ["a field without a colon", "data\n\n", [""]],
    ["no event without data", "event: ping\n\ndata: a\n\n", ["a"]],
    ["an end without its empty line", "data: a\n\ndata: b", ["a", "b"]],
    ["nothing", "", []]
  ]
  for (const [what, text, expected] of cases) it(`reads ${what}`, () => expect(dataOf(text)).toEqual(expected))

  it("returns an event's name", () => {
    expect(read([bytes("event: error\ndata: {}\n\n")])).toEqual([{ event: "error", data: "{}" }])
  })

  it("says whether a comment came, and no other line", () => {
    const parser = makeSseParser()
    const seen = [": wait\n", "data: a: b\n", ":", "\n\n"].map((text) => Either.getOrThrow(parser.push(bytes(text))))
    expect(seen.map(({ hasComment }) => hasComment)).toEqual([true, false, false, true])
  })

  const line = FastCheck.constantFrom("data: ä€𝄞", "data:{}", ": c", "event: error", "", "data: [DONE]", "x")
  const end = FastCheck.constantFrom("\n", "\r\n", "\r")
  const stream = FastCheck.array(FastCheck.tuple(line, end), { maxLength: 30 }).map((lines) =>
    lines.map(([text, ending]) => text + ending).join("")
  )
  it.prop(
    "reads the same wherever the bytes are split",
    [stream, FastCheck.array(FastCheck.nat(400), { maxLength: 40 })],
    ([text, cuts]) => {
      const whole = bytes(text)
      const places = [...new Set(cuts.map((cut) => cut % (whole.length + 1)))].sort((a, b) => a - b)
      const pieces = [0, ...places].map((from, i) => whole.subarray(from, places[i] ?? whole.length))
      expect(read(pieces)).toEqual(read([whole]))
      expect(read(Array.from(whole, (byte) => Uint8Array.of(byte)))).toEqual(read([whole]))
    }
  )

  it.each([
    ["a line without end", "x".repeat(1024 * 1024)],
    ["lines without end", "data:\n".repeat(100_000)]
  ])("refuses an event of %s instead of filling the memory", (_, text) => {
    const parser = makeSseParser()
    const piece = bytes(text)
    let read = parser.push(piece)
    for (let sent = 0; Either.isRight(read) && sent <= maximumEventLength; sent += 100_000) read = parser.push(piece)
    expect(read).toMatchObject({ left: "too long" })
  })

  it("reads a large piece of many lines in a time that grows with its length", () => {
    const many = 200_000
    const parser = makeSseParser()
    const started = performance.now()
    expect(Either.getOrThrow(parser.push(bytes("data: a\n\n".repeat(many)))).events).toHaveLength(many)
    expect(performance.now() - started).toBeLessThan(5_000)
  })
})
