import { describe, expect, it } from "@effect/vitest"
import { summaryOf } from "../../../src/migrator/cli/InspectionCommands.ts"

const revision = {
  revision: "0002_b",
  phase: "expand",
  state: "pending",
  steps: null,
  appliedAt: null,
  durationMs: null
} as const

const status = {
  service: "router",
  address: "postgresql://h/d",
  current: "0001_a",
  head: "0002_b",
  problem: null
} as const

describe("The summary of migrate status", () => {
  it("names the upgrade where revisions are pending, and repair where one is partly applied", () => {
    expect(summaryOf({ ...status, revisions: [revision] })).toBe(
      "router: at 0001_a; head is 0002_b; 1 pending: pnpm migrate --service router (postgresql://h/d)"
    )
    const halfway = { ...revision, state: "applying", steps: { done: 1, total: 3 } } as const
    expect(summaryOf({ ...status, revisions: [halfway] })).toBe(
      "router: at 0001_a; head is 0002_b; 1 applying: pnpm migrate --service router repair (postgresql://h/d)"
    )
    expect(summaryOf({ ...status, current: "0002_b", revisions: [] })).toBe("router: at head 0002_b (postgresql://h/d)")
  })
})
