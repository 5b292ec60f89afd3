import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { jsonMembers } from "../../../src/router/protocol/JsonMembers.ts"

const membersOf = (text: string) => Object.fromEntries(jsonMembers(text).texts)

describe("jsonMembers", () => {
  it("has the bytes of each member", () => {
    const text = '{ "a" : 1.0 ,"b":[9007199254740993, {"c":"}\\",\\""}],\n"d\\u0065":"x\\\\" , "n":null}'
    expect(membersOf(text)).toEqual({
      a: "1.0",
      b: '[9007199254740993, {"c":"}\\",\\""}]',
      de: '"x\\\\"',
      n: "null"
    })
  })

  it("counts the levels", () => {
    expect(["{}", '{"a":[]}', '{"a":{"b":[1]},"c":2}'].map((text) => jsonMembers(text).depth)).toEqual([1, 2, 3])
  })

  it.prop(
    "reads the same values as JSON.parse",
    [FastCheck.dictionary(FastCheck.string(), FastCheck.jsonValue()), FastCheck.constantFrom(undefined, 1, "\t")],
    ([value, space]) => {
      const text = JSON.stringify(value, null, space)
      const expected: unknown = JSON.parse(text)
      const found = [...jsonMembers(text).texts].map(([key, one]) => [key, JSON.parse(one)])
      expect(Object.fromEntries(found)).toEqual(expected)
    }
  )
})
