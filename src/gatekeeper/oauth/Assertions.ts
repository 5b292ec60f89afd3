import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { decodeJwt, decodeProtectedHeader, errors, jwtVerify } from "jose"
import { issuer } from "../../clients/PeerTokens.ts"
import { servicesOf } from "../../domain/Service.ts"
import { isLongerThan } from "../../domain/Text.ts"
import { ServiceKeys } from "../services/ServiceKeys.ts"

/** The assertion does not prove that a service sent it. `reason` holds no part of it. */
export class AssertionRefused extends Data.TaggedError("AssertionRefused")<{
  /** What the assertion says of itself, unchecked. */
  readonly claimed: string | null
  readonly reason: string
}> {}

/** Seconds that an assertion may be valid for. */
export const longestAssertion = 60

/** Seconds by which the clock of a service may differ. */
const clockTolerance = 30

const nameOf = (identity: string): string => identity.slice("service:".length)

const claimsOf = (assertion: string) => {
  try {
    const { iss } = decodeJwt(assertion)
    const { kid } = decodeProtectedHeader(assertion)
    return { claimed: typeof iss === "string" ? iss.slice(0, 100) : null, kid: typeof kid === "string" ? kid : "" }
  } catch {
    return { claimed: null, kid: "" }
  }
}

const problemOf = (thrown: unknown): string => {
  if (thrown instanceof errors.JWTExpired) return "the assertion has expired; check the clocks of both machines"
  if (thrown instanceof errors.JWTClaimValidationFailed)
    return `the assertion's claim "${thrown.claim}" is not acceptable`
  if (thrown instanceof errors.JWSSignatureVerificationFailed) return "the assertion's signature is wrong"
  return "the assertion is malformed"
}

/**
 * Verifies assertions of services (RFC 7523, section 3): signed by an enrolled key, addressed to a gatekeeper, short, and each used once.
 * Used ones are known to this process alone, so an assertion from before its start is refused.
 */
export const makeAssertions = Effect.gen(function* () {
  const keys = yield* ServiceKeys
  const startedAt = Math.floor((yield* Clock.currentTimeMillis) / 1_000)
  /** The seconds since the epoch at which each used assertion has expired. */
  const used = new Map<string, number>()

  return Effect.fnUntraced(function* (assertion: string) {
    const { claimed, kid } = claimsOf(assertion)
    const refuse = (reason: string) => new AssertionRefused({ claimed, reason })
    if (claimed === null || servicesOf(claimed).length === 0) return yield* refuse("the assertion names no service")
    const key = yield* keys.find(kid, nameOf(claimed))
    if (key === undefined) {
      return yield* refuse(
        `the key of ${claimed} is not enrolled, or is withdrawn: gravitas service enroll ${nameOf(claimed)} <public-key>`
      )
    }
    const now = yield* Clock.currentTimeMillis
    const { payload } = yield* Effect.tryPromise({
      try: () =>
        jwtVerify(assertion, key, {
          algorithms: ["EdDSA"],
          issuer: claimed,
          subject: claimed,
          audience: issuer,
          requiredClaims: ["iat", "exp", "jti"],
          clockTolerance,
          currentDate: new Date(now)
        }),
      catch: (thrown) => refuse(problemOf(thrown))
    })
    const { exp = 0, iat = 0, jti = "" } = payload
    const seconds = Math.floor(now / 1_000)
    if (exp - iat > longestAssertion || iat > seconds + clockTolerance) {
      return yield* refuse(`the assertion is valid for more than ${longestAssertion} seconds`)
    }
    if (iat < startedAt) return yield* refuse("the assertion is older than this gatekeeper's start")
    for (const [one, end] of used) if (end < seconds) used.delete(one)
    if (typeof jti !== "string" || jti === "" || isLongerThan(jti, 100)) {
      return yield* refuse("the assertion has no usable jti")
    }
    const use = `${kid} ${jti}`
    if (used.has(use)) return yield* refuse("the assertion was used before")
    used.set(use, exp + clockTolerance)
    return { identity: claimed, keyId: kid }
  })
})
