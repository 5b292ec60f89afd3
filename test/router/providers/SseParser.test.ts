import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { makeSseParser, maximumEventLength, SseEventTooLong } from "../../../src/router/providers/SseParser.ts"

const read = (pieces: ReadonlyArray<Uint8Array>) => {
  const parser = makeSseParser()
  return [...pieces.flatMap((piece) => parser.push(piece)), ...parser.end()]
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
    ["a byte order mark", "\ufeffdata: a\n\n", ["a"]],
    ["a field without a colon", "data\n\n", [""]],
    ["no data is no event", "event: ping\n\ndata: a\n\n", ["a"]],
    ["an end without its empty line", "data: a\n\ndata: b", ["a", "b"]],
    ["nothing", "", []]
  ]
  for (const [what, text, expected] of cases) it(`reads ${what}`, () => expect(dataOf(text)).toEqual(expected))

  it("tells an event's name", () => {
    expect(read([bytes("event: error\ndata: {}\n\n")])).toEqual([{ event: "error", data: "{}" }])
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

  it("refuses an event without end instead of filling the memory", () => {
    const parser = makeSseParser()
    const piece = bytes("x".repeat(1024 * 1024))
    expect(() => {
      for (let sent = 0; sent <= maximumEventLength; sent += piece.length) parser.push(piece)
    }).toThrow(SseEventTooLong)
  })

  it("refuses an event of lines without end, empty ones too", () => {
    const parser = makeSseParser()
    const piece = bytes("data:\n".repeat(100_000))
    expect(() => {
      for (let lines = 0; lines <= maximumEventLength; lines += 100_000) parser.push(piece)
    }).toThrow(SseEventTooLong)
  })
})
