import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { DuplicateKey, exactMember, inexactLiterals, isExact, parseExactJson } from "../../src/domain/JsonText.ts"

const repeatedIn = (text: string): ReadonlyArray<string> | undefined => {
  try {
    parseExactJson(text)
    return undefined
  } catch (thrown) {
    if (thrown instanceof DuplicateKey) return thrown.path
    throw thrown
  }
}

describe("A JSON text", () => {
  it.prop(
    "reads as JSON.parse reads it, however it is written",
    [FastCheck.jsonValue(), FastCheck.nat(3)],
    ([value, indent]) => {
      const text = JSON.stringify(value, null, indent)
      expect(parseExactJson(text)).toEqual(JSON.parse(text))
    }
  )

  it.each<[text: string, path: ReadonlyArray<string>]>([
    ['{"resource":"a","resource":"b"}', ["resource"]],
    ['{"resource":"a","re\\u0073ource":"b"}', ["resource"]],
    ['{ "a" : 1 ,\n "b":[{},{"c":1, "c" :1}]}', ["b", "1", "c"]],
    ['{"a":{"x":1},"a":2}', ["a"]],
    ['{"a":2,"a":{"x":{"y":[1]}}}', ["a"]],
    ['{"a":[{"b":1}],"a":{"c":1}}', ["a"]],
    ['{"__proto__":1,"__proto__":1}', ["__proto__"]],
    ['{"":1,"":1}', [""]],
    ['{"😀":1,"\\ud83d\\ude00":1}', ["😀"]],
    ['[[[{"a\\"b":1,"a\\"b":1}]]]', ["0", "0", "0", 'a"b']],
    ['{"a\\\\":1,"a\\\\":1}', ["a\\"]]
  ])("with a key twice in one object is refused: %s", (text, path) => {
    expect(repeatedIn(text)).toEqual(path)
  })

  it.each([
    '{"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]}',
    '{"A":1,"a":1,"__proto__":1,"constructor":1}',
    '{"a":"\\"a\\":1,","b":":{}"}',
    '{"caf\\u00e9":1,"cafe\\u0301":1}',
    "[]",
    '":"',
    "1"
  ])("has a key in several objects, or several keys: %s", (text) => {
    expect(repeatedIn(text)).toBeUndefined()
  })

  it("of 30 000 levels costs no stack", () => {
    const deep = `${'{"a":['.repeat(30_000)}{"b":1,"b":2}${"]}".repeat(30_000)}`
    expect(repeatedIn(deep)?.at(-1)).toBe("b")
  })
})

describe("A number of a JSON text", () => {
  it.each([
    "0",
    "-0",
    "0.0",
    "0e99",
    "42",
    "9007199254740991",
    "-9007199254740991",
    "0.1",
    "0.10000000000000000000",
    "1.5e3",
    "1E+2",
    "1e21",
    "100.0",
    "123456789.12345678",
    "1764518400123.4565",
    "5e-324",
    "1.7976931348623157e308"
  ])("is held by a double: %s", (literal) => {
    expect(isExact(literal)).toBe(true)
    expect(inexactLiterals(Object(parseExactJson(`[${literal}]`)))).toBeUndefined()
  })

  it.each([
    "9007199254740992",
    "9007199254740993",
    "-9007199254740993",
    "1546130668394913822",
    "123456789012345678901234567890",
    "0.1234567890123456789",
    "3.14159265358979323846",
    "12345678.123456789012",
    "0.1000000000000000055511151231257827",
    "1e400",
    "-1e400",
    "1e-400",
    "4.9e-324",
    "1e99999999999999999999",
    `1${"0".repeat(400)}`
  ])("is not, and its literal is kept beside it: %s", (literal) => {
    expect(isExact(literal)).toBe(false)
    const value = Object(parseExactJson(`{"a":{"n":${literal},"m":1,"l":[0,${literal}]}}`))
    expect(inexactLiterals(value)).toBeUndefined()
    expect(inexactLiterals(value.a)).toEqual(new Map([["n", literal]]))
    expect(inexactLiterals(value.a.l)).toEqual(new Map([["1", literal]]))
    expect([exactMember(value.a, "n"), exactMember(value.a, "m")]).toEqual([literal, 1])
  })

  it.prop(
    "is held where JavaScript wrote it, but for integers that it cannot count on",
    [FastCheck.double({ noNaN: true, noDefaultInfinity: true })],
    ([value]) => {
      const literal = JSON.stringify(value)
      expect(isExact(literal)).toBe(Number.isSafeInteger(value) || !/^-?\d+$/.test(literal))
    }
  )
})
