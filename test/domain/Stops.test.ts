import { describe, expect, it } from "@effect/vitest"
import {
  certificateStop,
  describeStop,
  ghostStop,
  type Revocation,
  sessionStop,
  stopListOf,
  tokenStop
} from "../../src/domain/Stops.ts"

const entry = (no: number | null, subject: string, at: number, more: Partial<Revocation> = {}): Revocation => ({
  no,
  id: `${subject}-${at}-${more.effect ?? "stop"}`,
  kind: "ghost",
  subject,
  effect: "stop",
  at,
  by: "admin",
  reason: null,
  ...more
})
const resume = { effect: "resume" } as const

const stopped = [entry(1, "Scout", 1_000)]
const resumed = [...stopped, entry(2, "Scout", 5_000, resume)]
const again = [...resumed, entry(3, "Scout", 9_000)]

describe("a stop of a ghost", () => {
  it.each([
    ["refuses a token from before it", stopped, "Scout", 999, true],
    ["refuses a token of its own instant: seconds are cut off", stopped, "Scout", 1_000, true],
    ["refuses a later token while it lasts", stopped, "Scout", 4_000, true],
    ["refuses a token without a time", stopped, "Scout", undefined, true],
    ["concerns no other ghost", stopped, "scout", 999, false],
    ["refuses earlier tokens for good, after the resume", resumed, "Scout", 1_000, true],
    ["ends with the resume for later tokens", resumed, "Scout", 1_001, false],
    ["ends with the resume for a caller without a token", resumed, "Scout", undefined, false],
    ["comes again", again, "Scout", 10_000, true],
    ["does not depend on the order in which it became known", [...again].reverse(), "Scout", 10_000, true],
    [
      "is later than numbered rows while it has no number",
      [entry(null, "Scout", 6_000), ...resumed],
      "Scout",
      7_000,
      true
    ],
    [
      "does not become shorter by an older one that is written late",
      [entry(1, "Scout", 8_000), entry(2, "Scout", 1_000), entry(3, "Scout", 9_000, resume)],
      "Scout",
      5_000,
      true
    ],
    ["needs no stop before a resume", [entry(1, "Scout", 1_000, resume)], "Scout", 500, false]
  ])("%s", (_, entries, ghost, issuedAt, expected) => {
    expect(ghostStop(stopListOf(entries), ghost, issuedAt) !== undefined).toBe(expected)
  })

  it("allows for an issuer whose clock is ahead", () => {
    const list = stopListOf(resumed)
    expect(ghostStop(list, "Scout", 5_500, 5_000)).toBeDefined()
    expect(ghostStop(list, "Scout", 6_001, 5_000)).toBeUndefined()
  })

  it("covers its certificates and sessions too", () => {
    const list = stopListOf(resumed)
    expect(certificateStop(list, "Scout", { id: "c", issuedAt: 900 })).toBeDefined()
    expect(certificateStop(list, "Scout", { id: "c", issuedAt: 2_000 })).toBeUndefined()
    expect(sessionStop(stopListOf(stopped), "Scout", { id: "s", issuedAt: undefined })).toBeDefined()
  })
})

describe("a stop of one credential", () => {
  const list = stopListOf([
    entry(1, "jti", 1_000, { kind: "token" }),
    entry(2, "id", 1_000, { kind: "certificate" }),
    entry(3, "name", 1_000, { kind: "session" })
  ])
  it.each([
    ["token", tokenStop, "jti"],
    ["certificate", certificateStop, "id"],
    ["session", sessionStop, "name"]
  ])("covers the %s that it names, whenever that was issued, and no other", (kind, stopOf, subject) => {
    expect(stopOf(list, "Scout", { id: subject, issuedAt: 9_000 }, 0)?.kind).toBe(kind)
    expect(stopOf(list, "Scout", { id: "another", issuedAt: 0 }, 0)).toBeUndefined()
    expect(stopOf(list, "Scout", { id: undefined, issuedAt: 0 }, 0)).toBeUndefined()
  })
})

describe("the words about a stop", () => {
  it("name what was stopped and when, and not why", () => {
    expect(describeStop(entry(1, "Scout", 0, { reason: "secret" }))).toBe(
      'the ghost "Scout" was stopped at 1970-01-01T00:00:00.000Z'
    )
  })
})
