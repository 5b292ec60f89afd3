import { describe, expect, it } from "@effect/vitest"
import { nodeProblem, nodeWarning } from "../../src/app/NodeVersion.ts"

describe("Node", () => {
  for (const [version, runs] of [
    ["18.20.8", false],
    ["20.18.3", false],
    ["20.19.0", true],
    ["22.0.0", true],
    ["24.1.0", true]
  ] as const) {
    it(`${version} ${runs ? "runs the program" : "is refused in one sentence"}`, () => {
      if (runs) expect(nodeProblem(version)).toBeUndefined()
      else
        expect(nodeProblem(version)).toMatch(
          new RegExp(`^Gravitas needs Node 20.19 or later, and this is ${version}: [^\n]*$`)
        )
    })
  }

  it("is warned of from the day after its end of life", () => {
    expect(nodeWarning("20.20.2", "2026-04-30")).toBeUndefined()
    expect(nodeWarning("20.20.2", "2026-05-01")).toContain("Node 20 is past its end of life (2026-04-30)")
    expect(nodeWarning("22.1.0", "2026-11-30")).toBeUndefined()
    expect(nodeWarning("26.0.0", "2040-01-01")).toBeUndefined()
  })
})
