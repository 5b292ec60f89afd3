import { describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { CertificateRow } from "../../../src/guardian/certificates/CertificateRow.ts"
import { CertificateAltered, type Claims, issuer } from "../../../src/guardian/certificates/CertificateSigner.ts"
import { certified } from "../../../src/guardian/certificates/Certificates.ts"

const standing: CertificateRow = {
  no: "1",
  id: "00000000-0000-4000-8000-000000000001",
  agent: "a",
  version: 1,
  issuedMicros: 1_760_000_000_000_000n,
  expiresMicros: 1_770_000_000_000_000n,
  keyId: "k",
  signature: "s",
  revokedAt: null,
  revokedReason: null,
  isExpired: false,
  isFuture: false,
  readMicros: 1_765_000_000_000_000n
}
const revoked = { ...standing, revokedAt: DateTime.unsafeMake(1_765_000_000_000), revokedReason: "lost" }
const expired = { ...standing, isExpired: true }
const future = { ...standing, isFuture: true }
const altered = { ...standing, no: "2", signature: "altered" }

const claims: Claims = {
  iss: issuer,
  jti: standing.id ?? "",
  sub: "a",
  version: 1,
  iat: 1_760_000_000,
  exp: 1_770_000_000
}

const unseal = (row: CertificateRow) =>
  row.signature === "altered"
    ? Effect.fail(new CertificateAltered({ reason: "its signature is wrong" }))
    : Effect.succeed(claims)

describe("An agent", () => {
  const cases: ReadonlyArray<readonly [string, ReadonlyArray<CertificateRow>, string]> = [
    ["is certified by one that stands", [standing], "certified by 1"],
    ["is certified by an older one, where the newest was altered", [altered, standing], "certified by 1"],
    ["is not certified without any", [], "none"],
    ["is not certified by a revoked one", [revoked], "revoked"],
    [
      "is not certified by one that is both revoked and expired, and hears of the revocation",
      [{ ...revoked, isExpired: true }],
      "revoked"
    ],
    ["is not certified by an expired one", [expired], "expired"],
    ["is not certified before its time", [future], "future"],
    ["is not certified by one that was altered", [altered, expired], "altered"]
  ]
  for (const [what, rows, expected] of cases) {
    it.effect(what, () =>
      Effect.gen(function* () {
        const outcome = yield* Effect.either(certified("a", rows, unseal))
        expect(Either.isRight(outcome) ? `certified by ${outcome.right.no}` : outcome.left.problem).toBe(expected)
      })
    )
  }
})
