import { expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { renderTable } from "../../../src/platform/cli/Table.ts"
import { visible, visibleJson } from "../../../src/platform/cli/TerminalText.ts"

const escape = "\u001b"

it("a table has columns as wide as their widest cell, colours where wanted, and no blanks at the end of a line", () => {
  const rows = [
    [{ text: "a" }, { text: "good", tone: "good" as const }, { text: "" }],
    [{ text: "longer" }, { text: "b" }, { text: "c" }]
  ]
  expect(renderTable(["x", "y", "z"], rows, false)).toBe("x       y     z\na       good\nlonger  b     c")
  expect(renderTable(["x", "y", "z"], rows, true)).toContain(`${escape}[32mgood${escape}[0m`)
})

it("a table that is wider than the terminal shows each row as a record, without its empty cells", () => {
  const rows = [
    ["first", "12", { text: "lost", tone: "bad" as const }],
    ["second", "", "0"]
  ]
  const table = renderTable(["source", "offered", "state"], rows, false, 21)
  expect(table).toBe("source  first\n  offered  12\n  state    lost\n\nsource  second\n  state  0")
  expect(renderTable(["source", "offered", "state"], rows, false, 22).split("\n")[0]).toBe("source  offered  state")
  expect(renderTable(["a", "b", "c"], [], false, 1)).toBe("a  b  c")
})

it("what others wrote neither moves the cursor of a terminal nor breaks a line of a table", () => {
  expect(visible(`a${escape}[2Jb\r\n\u009b\u202e\u2028é 日本`)).toBe(
    "a\\u{1b}[2Jb\\u{d}\\u{a}\\u{9b}\\u{202e}\\u{2028}é 日本"
  )
  FastCheck.assert(
    FastCheck.property(FastCheck.string({ unit: "binary" }), (text) => {
      const table = renderTable(["one", "two"], [[{ text }, { text: "end" }]], false)
      expect(table.split("\n").length).toBe(2)
      expect(table.replace("\n", "")).toMatch(/^[^\p{Cc}\p{Cf}]*$/u)
    })
  )
})

it("JSON with what others wrote means the same when it is printed, and has none of it as it was", () => {
  expect(visibleJson(JSON.stringify({ a: "\u009b2J\u202e" }, null, 2))).toBe('{\n  "a": "\\u009b2J\\u202e"\n}')
  FastCheck.assert(
    FastCheck.property(FastCheck.string({ unit: "binary" }), (text) => {
      const json = visibleJson(JSON.stringify([text, "\u{e0001}\u009b"], null, 2))
      expect(JSON.parse(json)).toEqual([text, "\u{e0001}\u009b"])
      expect(json.replaceAll("\n", "")).toMatch(/^[^\p{Cc}\p{Cf}]*$/u)
    })
  )
})
