import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { newCertificateOf } from "../../../src/guardian/certificates/CertificateOperations.ts"
import { parseSeconds } from "../../../src/guardian/certificates/CertificateRow.ts"
import { lacksZone, rfc3339Of } from "../../../src/guardian/cli/CertificateFile.ts"

const now = 1_760_000_000

describe("The times of certificates", () => {
  it("have a zone, and a day that the calendar has", () => {
    expect(parseSeconds("2026-01-31T12:00:00Z")).toEqual(Option.some(Date.UTC(2026, 0, 31, 12) / 1_000))
    expect(parseSeconds("2026-01-31T12:00:00.999+02:00")).toEqual(Option.some(Date.UTC(2026, 0, 31, 10) / 1_000))
    for (const written of ["2026-01-31 12:00:00+0200", "2026-01-31 12:00:00.5+02", "2026-01-31T12:00+02:00"]) {
      expect([written, parseSeconds(written)]).toEqual([written, Option.none()])
      expect(parseSeconds(rfc3339Of(written))).toEqual(Option.some(Date.UTC(2026, 0, 31, 10) / 1_000))
    }
    for (const bad of [
      "2026-01-31T12:00:00",
      "2026-02-30T12:00:00Z",
      "2026-01-31",
      "soon",
      "",
      "2026-01-31T25:00:00Z"
    ]) {
      expect([bad, parseSeconds(bad)]).toEqual([bad, Option.none()])
    }
    expect([
      lacksZone("2026-01-31T12:00:00.123456"),
      lacksZone("2026-01-31"),
      lacksZone("2026-01-31T12:00:00Z")
    ]).toEqual([true, true, false])
  })
})

describe("An issue of a certificate", () => {
  it("has one end, after now and within ten years", () => {
    const expiry = (body: { readonly valid_for?: string | number; readonly expires_at?: string }) =>
      Either.map(newCertificateOf({ agent: "a", ...body }, now), ({ expiresAt }) => expiresAt - now)
    expect(expiry({})).toEqual(Either.right(90 * 86_400))
    expect(expiry({ valid_for: "24h" })).toEqual(Either.right(86_400))
    expect(expiry({ valid_for: 60 })).toEqual(Either.right(60))
    const refused = [
      [{ expires_at: "2030-01-01T00:00:00" }, "with a zone"],
      [{ expires_at: "2020-01-01T00:00:00Z" }, "expired already"],
      [{ valid_for: 0 }, "expired already"],
      [{ valid_for: -5 }, "expired already"],
      [{ valid_for: Number.NaN }, "must be a duration"],
      [{ valid_for: "soon" }, "must be a duration"],
      [{ valid_for: "20 weeks 3" }, "must be a duration"],
      [{ valid_for: "9999d" }, "longer than"],
      [{ valid_for: 1e300 }, "longer than"]
    ] as const
    for (const [body, problem] of refused) {
      const refusal = Either.getOrThrow(Either.flip(expiry(body)))
      expect([body, refusal.message]).toEqual([body, expect.stringContaining(problem)])
    }
  })
})
