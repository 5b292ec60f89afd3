import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { lineDifference, showDifference } from "../../../src/migrator/inspect/ShownDifference.ts"

const view = (...columns: ReadonlyArray<string>) => ["select", ...columns, "from router.t"].join("\n")
const many = Array.from({ length: 400 }, (_, index) => `  c${index},`)

describe("a changed object", () => {
  it("is shown by the lines that differ, each with a line around it", () => {
    const before = view(...many, "  a", ...many)
    const after = view(...many, "  b", "  c", ...many)
    expect(showDifference({ object: "view router.v", before, after })).toBe(
      ["~ view router.v", "      …", "      c399,", "    -   a", "    +   b", "    +   c", "      c0,", "      …"]
        .join("\n")
        .replaceAll("      c", "        c")
    )
  })

  it("that is new or gone is shown by its name", () => {
    expect(showDifference({ object: "table a", before: null, after: "x" })).toBe("+ table a")
    expect(showDifference({ object: "table a", before: "x", after: null })).toBe("- table a")
  })

  it("of more lines than are compared is shown all the same", () => {
    const lines = (name: string) => Array.from({ length: 3_000 }, (_, index) => `${name}${index}`).join("\n")
    expect(lineDifference(lines("a"), lines("b"))).toHaveLength(6_000)
  })

  const texts = FastCheck.array(FastCheck.constantFrom("a", "b", "c"), { maxLength: 12 }).map((lines) =>
    lines.join("\n")
  )

  it.prop("has both texts in its lines", [texts, texts], ([before, after]) => {
    const shown = lineDifference(before, after)
    const changed = (mark: string) => shown.filter((line) => line.startsWith(mark)).length
    expect(changed("+ ") - changed("- ")).toBe(after.split("\n").length - before.split("\n").length)
    if (before === after) expect(changed("+ ") + changed("- ")).toBe(0)
    else expect(changed("+ ") + changed("- ")).toBeGreaterThan(0)
  })
})
