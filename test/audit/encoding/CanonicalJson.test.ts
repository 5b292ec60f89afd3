import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { type Budget, encodeCanonical } from "../../../src/audit/encoding/CanonicalJson.ts"

const ample: Budget = { depth: 64, members: 100_000, size: 1_000_000, key: 10_000 }
const json = (given: unknown, budget: Budget = ample) => encodeCanonical(given, budget).json
const blemishes = (given: unknown, budget: Budget = ample) => [...encodeCanonical(given, budget).blemishes].sort()

/** JSON as a parser gives it; NUL and lone surrogates have tests of their own. */
const jsonValue = FastCheck.jsonValue({ maxDepth: 6 }).filter((value) => !JSON.stringify(value).includes("\\u0000"))

const keysAreSorted = (value: unknown): boolean => {
  if (Array.isArray(value)) return value.every(keysAreSorted)
  if (typeof value !== "object" || value === null) return true
  const keys = Object.keys(value).filter((key) => !/^\d+$/.test(key))
  return keys.toSorted().join("\0") === keys.join("\0") && Object.values(value).every(keysAreSorted)
}

describe("canonical JSON", () => {
  it.prop("reads back as what was given", [jsonValue], ([value]) => {
    expect(JSON.parse(json(value))).toEqual(JSON.parse(JSON.stringify(value)))
    expect(blemishes(value)).toEqual([])
  })

  it.prop("is the same for the same value, in whatever order its keys came", [jsonValue], ([value]) => {
    const once = json(value)
    expect(json(JSON.parse(once))).toBe(once)
    expect(keysAreSorted(JSON.parse(once))).toBe(true)
  })

  it("is what RFC 8785 shows", () => {
    // Section 3.2.2 and 3.2.3.
    const sample = JSON.parse(String.raw`{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }`)
    expect(json(sample)).toBe(
      `{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],` +
        String.raw`"string":"€$\u000f\nA'B\"\\\\\"/"}`
    )
    const keys = { "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7 }
    expect(json(keys)).toBe('{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\ud83d\ude00":5,"\ufb33":3}')
  })
})

const cyclic: Record<string, unknown> = { name: "a" }
cyclic["self"] = cyclic

const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

const nested = (depth: number): unknown => {
  let value: unknown = 1
  for (let level = 0; level < depth; level++) value = [value]
  return value
}

describe("what JSON cannot say", () => {
  it.each<[name: string, given: unknown, json: string, blemishes: Array<string>]>([
    ["NUL in a value", { a: "x\0y" }, '{"a":"x\ufffdy"}', ["cleaned"]],
    ["NUL in a key", { "a\0": 1 }, '{"a\ufffd":1}', ["cleaned"]],
    ["a lone surrogate", ["\ud800", "\udc00x"], '["\ufffd","\ufffdx"]', ["cleaned"]],
    ["a surrogate pair", "\ud83d\ude00", '"\ud83d\ude00"', []],
    ["keys that become the same", { "a\0": 1, "a\ufffd": 2 }, '{"a\ufffd":1}', ["cleaned", "key-clash"]],
    ["__proto__ as a key", JSON.parse('{"__proto__":{"x":1}}'), '{"__proto__":{"x":1}}', []],
    ["a cycle", cyclic, '{"name":"a","self":"[cycle]"}', ["cycle"]],
    ["a BigInt", { a: 12345678901234567890n }, '{"a":"12345678901234567890"}', ["converted"]],
    ["a huge BigInt", 1n << 5_000n, '"[big integer]"', ["converted"]],
    ["numbers that are none", [Number.NaN, Infinity, -Infinity], '["NaN","Infinity","-Infinity"]', ["converted"]],
    ["minus zero", -0, "0", []],
    ["undefined in an object", { a: undefined, b: 1 }, '{"b":1}', []],
    ["undefined in an array", [undefined], "[null]", []],
    ["undefined", undefined, "null", []],
    ["a function and a symbol", [() => 1, Symbol("s")], '["[function]","[symbol]"]', ["converted"]],
    ["a date", { at: new Date(0) }, '{"at":"1970-01-01T00:00:00.000Z"}', []],
    ["an invalid date", new Date(Number.NaN), "null", []],
    ["bytes", new Uint8Array(1_000_000), '"[1000000 bytes]"', ["converted"]],
    [
      "toJSON that throws",
      {
        a: {
          toJSON: () => {
            throw new Error("no")
          }
        }
      },
      '{"a":"[unreadable]"}',
      ["unreadable"]
    ],
    ["toJSON that is data", { toJSON: "x" }, '{"toJSON":"x"}', []],
    [
      "a getter that throws",
      {
        get a() {
          throw new Error("no")
        },
        b: 1
      },
      '{"a":"[unreadable]","b":1}',
      ["unreadable"]
    ],
    ["a revoked proxy", { a: revoked(), b: 1 }, '{"a":"[unreadable]","b":1}', ["unreadable"]],
    ["a map", new Map([[1, 2]]), "{}", []],
    ["an object without prototype", Object.assign(Object.create(null), { b: 1, a: 2 }), '{"a":2,"b":1}', []]
  ])("%s", (_, given, expected, marks) => {
    expect(json(given)).toBe(expected)
    expect(blemishes(given)).toEqual(marks)
    JSON.parse(json(given))
  })
})

describe("the budget", () => {
  const tight: Budget = { depth: 3, members: 10, size: 200, key: 5 }

  it.each<[name: string, given: unknown, blemish: string]>([
    ["depth", nested(100_000), "depth"],
    ["members of an object", Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`k${i}`, i])), "members"],
    ["elements of an array", new Array(1e9), "members"],
    ["a long string", "x".repeat(10_000_000), "size"],
    ["characters that have to be escaped", "\u0001".repeat(1_000), "size"],
    ["many long strings", Array.from({ length: 9 }, () => "x".repeat(100)), "size"],
    ["a long key", { ["k".repeat(1_000_000)]: 1 }, "key-truncated"]
  ])("bounds %s and says so", (_, given, blemish) => {
    const encoded = encodeCanonical(given, tight)
    expect([...encoded.blemishes]).toContain(blemish)
    expect(encoded.json.length).toBeLessThan(600)
    JSON.parse(encoded.json)
  })

  it("a graph that branches into itself at every level ends", () => {
    const graph: Array<unknown> = []
    for (let index = 0; index < 100; index++) graph.push({ a: graph, b: [{ graph }] })
    const encoded = encodeCanonical(graph, { depth: 16, members: 1_000, size: 16_384, key: 255 })
    expect(encoded.json.length).toBeLessThan(40_000)
    JSON.parse(encoded.json)
  })

  it.prop(
    "any value gives valid JSON of a bounded length",
    [
      FastCheck.anything({
        withBigInt: true,
        withDate: true,
        withMap: true,
        withNullPrototype: true,
        withObjectString: true,
        withSet: true,
        withSparseArray: true,
        withTypedArray: true
      })
    ],
    ([value]) => {
      const encoded = encodeCanonical(value, tight)
      expect(encoded.json.length).toBeLessThan(2_000)
      JSON.parse(encoded.json)
    }
  )
})
