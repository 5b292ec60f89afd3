import { describe, expect, it } from "@effect/vitest"
import { disagreements, type Row } from "./Agreement.ts"

const made = [
  { revision: 1, objects: ["a"] },
  { revision: 2, objects: ["b", "c", "d"] }
]
const first: Row = { revision: 1, state: "applied", steps_done: 1 }
const second = (state: Row["state"], steps_done: number): Row => ({ revision: 2, state, steps_done })

describe("history and catalog", () => {
  it.each<readonly [string, ReadonlyArray<Row>, ReadonlyArray<string>]>([
    ["nothing applied, nothing there", [], []],
    ["all applied, all there", [first, second("applied", 3)], ["a", "b", "c", "d"]],
    ["one step done, the next not begun", [first, second("applying", 1)], ["a", "b"]],
    ["one step done, the next done but not recorded", [first, second("applying", 1)], ["a", "b", "c"]],
    ["one step undone", [first, second("reverting", 1)], ["a", "b", "c"]],
    ["one step undone, the next undone but not recorded", [first, second("reverting", 1)], ["a", "b"]],
    ["all undone but not recorded", [first, second("reverting", 2)], ["a"]]
  ])("agree: %s", (_, history, catalog) => {
    expect(disagreements(made, history, new Set(catalog))).toEqual([])
  })

  it.each<readonly [string, ReadonlyArray<Row>, ReadonlyArray<string>, string]>([
    ["an object of no revision that stands", [], ["a"], "a is there, and revision 1 is not applied"],
    ["a missing object", [first], [], "a is missing, and revision 1 is applied"],
    ["a step that is done and not recorded", [first, second("applying", 0)], ["a", "b", "c"], "c is there"],
    ["a step that is recorded and not done", [first, second("applying", 2)], ["a", "b"], "c is missing"],
    ["a step undone too early", [first, second("reverting", 0)], ["a", "b"], "c is missing"],
    ["a gap", [second("applied", 3)], ["b", "c", "d"], "row 1 is of revision 2"],
    [
      "a half-way revision below another",
      [{ ...first, state: "applying" }, second("applied", 3)],
      ["b", "c", "d"],
      "others"
    ]
  ])("disagree: %s", (_, history, catalog, problem) => {
    expect(disagreements(made, history, new Set(catalog)).join("\n")).toContain(problem)
  })
})
