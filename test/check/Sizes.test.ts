import { describe, expect, it } from "@effect/vitest"
import { limits, longFunctions } from "../../scripts/check/Sizes.ts"

const body = (lines: number): string => Array.from({ length: lines }, (_, index) => `  call(${index})`).join("\n")

const named = (text: string): ReadonlyArray<string> => longFunctions("x.ts", text).map(({ name }) => name)

const long = limits.function

describe("the check of sizes", () => {
  it("names a function over the limit, by what it is declared as", () => {
    expect(named(`const first = () => {\n${body(long)}\n}`)).toEqual(["first"])
    expect(named(`const small = () => {\n${body(long - 2)}\n}`)).toEqual([])
    expect(named(`export const made = Effect.gen(function* () {\n${body(long)}\n})`)).toEqual(["made"])
    expect(named(`class A {\n  method() {\n${body(long)}\n  }\n}`)).toEqual(["method"])
  })

  it("accepts a reason directly above the statement, also beside a doc comment", () => {
    const declaration = `const first = () => {\n${body(long)}\n}`
    expect(named(`// long: one table of cases\n${declaration}`)).toEqual([])
    expect(named(`/** Does it. */\n// long: one table of cases\n${declaration}`)).toEqual([])
    expect(named(`// long:\n${declaration}`)).toEqual(["first"])
    expect(named(`// long: another one\nconst other = 1\n${declaration}`)).toEqual(["first"])
  })
})
