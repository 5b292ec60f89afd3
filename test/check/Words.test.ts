import { describe, expect, it } from "@effect/vitest"
import { wordHits } from "../../scripts/check/Words.ts"

/** Written in parts, so that the check does not find this file. */
const word = (...parts: ReadonlyArray<string>): string => parts.join("")

const found = (text: string): ReadonlyArray<string> =>
  wordHits("x.ts", text).map(({ line, word }) => `${line} ${word.toLowerCase()}`)

describe("the check of words", () => {
  it("finds each unwanted word, in any case, with its line", () => {
    const words = [
      word("who", "ever"),
      word("No", "body"),
      word("some", "body"),
      word("a", "new"),
      word("me", "nded"),
      word("in ", "hand"),
      word("is ", "none")
    ]
    expect(found(words.map((one) => `a ${one} b`).join("\n"))).toEqual(
      words.map((one, index) => `${index + 1} ${one.toLowerCase()}`)
    )
  })

  it("finds a phrase that a line break of a comment divides, and names the line where it begins", () => {
    expect(found(`/**\n * A text that ${word("is")}\n * no number.\n */`)).toEqual([`2 ${word("is ", "no")}`])
    expect(found(`-- held ${word("in")}\n-- ${word("hand")}`)).toEqual([`1 ${word("in ", "hand")}`])
  })

  it("lets plain English pass", () => {
    expect(
      found("There is no row. It is not valid. It is no longer there. There is none. Recommended, in handlers.")
    ).toEqual([])
  })
})
