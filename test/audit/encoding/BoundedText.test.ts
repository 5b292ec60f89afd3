import { expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { boundText } from "../../../src/audit/encoding/BoundedText.ts"

/** Any code units: NUL and surrogates, paired and lone, among them. */
const text = FastCheck.array(
  FastCheck.oneof(
    FastCheck.integer({ min: 0, max: 0xffff }),
    FastCheck.constantFrom("\0", "\ud83d\ude00", "\ud800", "\udead", "a")
  ),
  { maxLength: 60 }
).map((parts) => parts.map((part) => (typeof part === "string" ? part : String.fromCharCode(part))).join(""))

/** The same, said plainly. */
const expected = (given: string, limit: number): string =>
  [...given]
    .slice(0, limit)
    .map((point) => (/^[\0\ud800-\udfff]$/u.test(point) ? "\ufffd" : point))
    .join("")

it.prop(
  "keeps the first code points, and replaces each NUL and lone surrogate",
  [text, FastCheck.integer({ min: 0, max: 80 }), FastCheck.integer({ min: 0, max: 4_200 })],
  ([end, limit, before]) => {
    expect(boundText(end, limit).text).toBe(expected(end, limit))
    const long = "\ud800".repeat(before) + end
    expect(boundText(long, 10_000)).toEqual({
      text: expected(long, 10_000),
      truncated: false,
      cleaned: /[\0\ud800-\udfff]/u.test(long)
    })
  }
)

it("a pair at the border of what is cleaned at a time stays whole", () => {
  for (const before of [4_094, 4_095, 4_096]) {
    const given = `\0${"a".repeat(before - 1)}\ud83d\ude00b`
    expect(boundText(given, 10_000).text).toBe(given.replace("\0", "\ufffd"))
  }
})
