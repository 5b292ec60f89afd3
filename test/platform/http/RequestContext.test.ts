import type { IncomingMessage } from "node:http"
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import {
  admitTraceContext,
  beginTrace,
  isTracestate,
  parseTraceparent,
  traceIdOf,
  traceparentOf
} from "../../../src/platform/http/RequestContext.ts"

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
const parentId = "00f067aa0ba902b7"

const admitted = (headers: Record<string, string>): Record<string, string> => {
  const request = { headers: { ...headers } }
  admitTraceContext(request as unknown as IncomingMessage)
  return request.headers
}

describe("parseTraceparent", () => {
  const read = { traceId, parentId, sampled: true }
  const cases: ReadonlyArray<readonly [string, string, ReturnType<typeof parseTraceparent>]> = [
    ["the recommendation's example", `00-${traceId}-${parentId}-01`, read],
    ["not sampled", `00-${traceId}-${parentId}-00`, { ...read, sampled: false }],
    ["flags that are not known yet", `00-${traceId}-${parentId}-ff`, read],
    ["a later version", `cc-${traceId}-${parentId}-01`, read],
    ["a later version with more", `cc-${traceId}-${parentId}-01-what-comes`, read],
    ["a later version that goes on without a dash", `cc-${traceId}-${parentId}-01.what`, undefined],
    ["version 00 with more", `00-${traceId}-${parentId}-01-x`, undefined],
    ["the invalid version", `ff-${traceId}-${parentId}-01`, undefined],
    ["no trace", `00-${"0".repeat(32)}-${parentId}-01`, undefined],
    ["no parent", `00-${traceId}-${"0".repeat(16)}-01`, undefined],
    ["upper case", `00-${traceId.toUpperCase()}-${parentId}-01`, undefined],
    ["too short", `00-${traceId.slice(1)}-${parentId}-01`, undefined],
    ["no flags", `00-${traceId}-${parentId}`, undefined],
    ["two headers, joined", `00-${traceId}-${parentId}-01, 00-${traceId}-${parentId}-01`, undefined],
    ["nothing", "", undefined]
  ]
  for (const [what, text, expected] of cases) {
    it(what, () => {
      expect(parseTraceparent(text)).toEqual(expected)
    })
  }

  it("reads what it writes, and whatever it reads it can write", () => {
    const hexadecimal = (length: number) =>
      FastCheck.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`)).filter((digits) => !/^0+$/.test(digits))
    FastCheck.assert(
      FastCheck.property(hexadecimal(32), hexadecimal(16), FastCheck.boolean(), (traceId, parentId, sampled) => {
        const context = { traceId, parentId, sampled }
        expect(parseTraceparent(traceparentOf(context))).toEqual(context)
      })
    )
    FastCheck.assert(
      FastCheck.property(FastCheck.string({ unit: "binary", maxLength: 80 }), (text) => {
        const context = parseTraceparent(text)
        if (context !== undefined) expect(parseTraceparent(traceparentOf(context))).toEqual(context)
      })
    )
  })
})

describe("isTracestate", () => {
  const cases: ReadonlyArray<readonly [string, boolean]> = [
    ["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", true],
    ["rojo=1, congo=2 ,,tenant@vendor=3", true],
    ["", true],
    ["a=1,a=2", false],
    ["A=1", false],
    ["a", false],
    ["a=", false],
    ["a=b=c", false],
    ["a=\u0000", false],
    [Array.from({ length: 33 }, (_, i) => `k${i}=1`).join(","), false],
    [`a=${"x".repeat(300)}`, false],
    [`a=${"x".repeat(255)},b=${"x".repeat(255)}`, false]
  ]
  for (const [text, expected] of cases) {
    it(`${JSON.stringify(text.slice(0, 60))}: ${expected}`, () => {
      expect(isTracestate(text)).toBe(expected)
    })
  }
})

describe("a request's trace", () => {
  const traceparent = `00-${traceId}-${parentId}-01`

  it("stays what the client said, with its state", () => {
    expect(admitted({ traceparent, tracestate: "a=1" })).toMatchObject({ traceparent, tracestate: "a=1" })
  })

  it("keeps its id where the state alone is broken", () => {
    expect(admitted({ traceparent, tracestate: "A=1" })).toMatchObject({ traceparent })
    expect(admitted({ traceparent, tracestate: "A=1" })["tracestate"]).toBeUndefined()
  })

  it("is not that of a client whose header is broken, and neither is its state", () => {
    expect(admitted({ traceparent: "00-x", tracestate: "a=1" })).toEqual({})
    expect(admitted({ tracestate: "a=1" })).toEqual({})
  })

  it("begins here where there was none: well-formed, not sampled, another each time", () => {
    const ids = Array.from({ length: 200 }, () => {
      const request = { headers: {} as Record<string, string> }
      beginTrace(request as unknown as IncomingMessage)
      const made = request.headers["traceparent"] ?? ""
      expect(parseTraceparent(made)?.sampled).toBe(false)
      return traceIdOf(request.headers)
    })
    expect(new Set(ids).size).toBe(200)
  })
})
