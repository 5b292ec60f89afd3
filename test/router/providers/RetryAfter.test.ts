import { describe, expect, it } from "@effect/vitest"
import { retryAfterMillis } from "../../../src/router/providers/RetryAfter.ts"

const now = Date.parse("2026-01-01T00:00:00Z")

describe("retryAfterMillis", () => {
  const cases: ReadonlyArray<readonly [string, Readonly<Record<string, string>>, number | undefined]> = [
    ["seconds", { "retry-after": "30" }, 30_000],
    ["a part of a second", { "retry-after": "1.5" }, 1_500],
    ["a date", { "retry-after": "Thu, 01 Jan 2026 00:00:20 GMT" }, 20_000],
    ["a date that has passed", { "retry-after": "Wed, 31 Dec 2025 00:00:20 GMT" }, 0],
    ["milliseconds, which are more exact", { "retry-after-ms": "250", "retry-after": "1" }, 250],
    ["an hour at most", { "retry-after": "86400" }, 3_600_000],
    ["nothing", {}, undefined],
    ["nothing that is not a time", { "retry-after": "soon" }, undefined],
    ["nothing of a negative number", { "retry-after": "-5" }, undefined]
  ]
  for (const [what, headers, millis] of cases) {
    it(`reads ${what}`, () => expect(retryAfterMillis(headers, now)).toBe(millis))
  }

  it("reads the delay that Google names in the body", () => {
    const body = [{ error: { details: [{ "@type": "x" }, { retryDelay: "7.5s" }] } }]
    expect(retryAfterMillis({}, now, body)).toBe(7_500)
  })
})
