import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import {
  type CryptoKey,
  decodeProtectedHeader,
  errors,
  type JWTHeaderParameters,
  type JWTPayload,
  type JWTVerifyOptions,
  jwtVerify
} from "jose"
import { actingOf, originIdsOf, originOf } from "../../clients/TokenClaims.ts"
import { isServiceIdentity } from "../../domain/Service.ts"
import { textProblem } from "../AccessRequest.ts"
import { Unauthenticated } from "./BearerToken.ts"
import { type IssuedTokens, verifyIssued } from "./IssuedTokens.ts"
import type { KeysUnavailable } from "./KeyFetch.ts"
import type { RemoteKeys } from "./RemoteKeys.ts"
import { sharedAlgorithm, type TokenSettingsValues } from "./TokenSettings.ts"
import type { VerifiedToken } from "./VerifiedTokens.ts"

export interface VerificationOptions {
  readonly jwt: TokenSettingsValues
  readonly issuer: string | undefined
  readonly audience: string | undefined
  /** The current secret's key first, then those of previous secrets. */
  readonly sharedKeys: ReadonlyArray<CryptoKey>
  readonly remote: RemoteKeys | undefined
  /** A ghost that no token may name. */
  readonly reserved: string
  /** Whether only tokens that a gatekeeper issued may name a service. */
  readonly reservesServices: boolean
  readonly issuedTokens: typeof IssuedTokens.Service | undefined
}

const invalid = (reason: string): Unauthenticated => new Unauthenticated({ problem: "invalid", reason })

/** Why jose refused the token, without any part of it. */
const refusalOf = (thrown: unknown): Unauthenticated => {
  if (thrown instanceof errors.JWTExpired) {
    return new Unauthenticated({ problem: "expired", reason: "the token has expired" })
  }
  if (thrown instanceof errors.JWTClaimValidationFailed) {
    return invalid(`the token's claim "${thrown.claim}" is not acceptable`)
  }
  if (thrown instanceof errors.JWSSignatureVerificationFailed) return invalid("the token's signature is wrong")
  return invalid("the token is malformed")
}

const headerOf = (token: string): Effect.Effect<JWTHeaderParameters & { readonly alg: string }, Unauthenticated> =>
  Effect.try({
    try: () => {
      const header = decodeProtectedHeader(token)
      if (typeof header.alg !== "string") throw new errors.JWTInvalid("no algorithm")
      return { ...header, alg: header.alg }
    },
    catch: refusalOf
  })

/** Types of a bearer token (RFC 8725, section 3.11; RFC 9068). Most tokens say JWT; some have no type. */
const tokenType = /^(application\/)?(at\+)?jwt$/i

const isToken = ({ typ }: JWTHeaderParameters): boolean =>
  typ === undefined || (typeof typ === "string" && tokenType.test(typ))

/**
 * The keys that may have signed the token. The algorithm chooses between the secret and the public keys; a key never chooses its
 * algorithm. So a public key cannot be used as a secret (RFC 8725, section 2.1).
 */
const keysFor = (
  { jwt, remote, sharedKeys }: VerificationOptions,
  header: JWTHeaderParameters & { readonly alg: string }
): Effect.Effect<ReadonlyArray<CryptoKey>, Unauthenticated | KeysUnavailable> => {
  if (!jwt.algorithms.some((allowed) => allowed === header.alg)) {
    return Effect.fail(invalid(`the token's algorithm is not one of ${jwt.algorithms.join(", ")}`))
  }
  if (header.alg === sharedAlgorithm || remote === undefined) return Effect.succeed(sharedKeys)
  return remote.keysFor(header).pipe(Effect.catchTag("KeyUnknown", ({ reason }) => Effect.fail(invalid(reason))))
}

/** Fails with what jose throws. */
const payloadBy = (token: string, keys: ReadonlyArray<CryptoKey>, options: JWTVerifyOptions) =>
  Effect.tryPromise({
    try: async () => {
      for (const key of keys.slice(0, -1)) {
        try {
          return (await jwtVerify(token, key, options)).payload
        } catch (thrown) {
          // Only a wrong signature may belong to another key; any other refusal is final.
          if (!(thrown instanceof errors.JWSSignatureVerificationFailed)) throw thrown
        }
      }
      const last = keys.at(-1)
      if (last === undefined) throw new errors.JWSSignatureVerificationFailed()
      return (await jwtVerify(token, last, options)).payload
    },
    catch: (thrown) => thrown
  })

/**
 * The claims of a token that one of the keys signed. The issuer may have put another key under a known `kid`, so a signature that no
 * known key made has the keys fetched once more.
 */
const verifiedPayload = (
  verification: VerificationOptions,
  token: string,
  header: JWTHeaderParameters & { readonly alg: string },
  options: JWTVerifyOptions
): Effect.Effect<JWTPayload, Unauthenticated | KeysUnavailable> => {
  const { remote } = verification
  const generation = remote?.generation() ?? 0
  const attempt = Effect.flatMap(keysFor(verification, header), (keys) =>
    Effect.either(payloadBy(token, keys, options))
  )
  return Effect.gen(function* () {
    let result = yield* attempt
    const isUnknown = Either.isLeft(result) && result.left instanceof errors.JWSSignatureVerificationFailed
    if (
      isUnknown &&
      remote !== undefined &&
      header.alg !== sharedAlgorithm &&
      (yield* remote.haveChanged(generation))
    ) {
      result = yield* attempt
    }
    return yield* Either.mapLeft(result, refusalOf)
  })
}

/** Why no token may name `sub`; completes a sentence that begins with "the token's subject". */
export const subjectProblem = (
  sub: string,
  { reserved, reservesServices }: Pick<VerificationOptions, "reserved" | "reservesServices">
): string | undefined => {
  // The trail would cut a longer name, so that the row would not name the ghost that was decided about.
  const problem = textProblem("ghost_id", sub)
  if (problem !== undefined) return `cannot be recorded: ${problem}`
  if (reservesServices && isServiceIdentity(sub)) {
    return "is a service's, which proves itself by its own key: gravitas service enroll"
  }
  return sub === reserved ? `is ${reserved}, which no token may name` : undefined
}

const ghostOf = ({ sub }: JWTPayload, options: VerificationOptions): Effect.Effect<string, Unauthenticated> => {
  if (typeof sub !== "string" || sub === "") return Effect.fail(invalid("the token names no subject"))
  const problem = subjectProblem(sub, options)
  return problem === undefined ? Effect.succeed(sub) : Effect.fail(invalid(`the token's subject ${problem}`))
}

const seconds = 1_000

/**
 * Why the times of a token are not acceptable. A stop compares `iat` with its own time, so each token must have one that is true: a
 * token from the future would outlive a stop and a resume. JSON's 1e400 is an infinite `exp`.
 */
const timeProblem = (exp: number, iat: number, latest: number): string | undefined => {
  if (!Number.isFinite(exp)) return 'the token\'s claim "exp" is not acceptable'
  if (!Number.isFinite(iat)) return 'the token\'s claim "iat" is not acceptable'
  return iat > latest
    ? "the token was issued in the future (iat): correct the issuer's clock, or raise JWT_CLOCK_TOLERANCE"
    : undefined
}

export const overlong = ({ maximumLifetime }: Pick<TokenSettingsValues, "maximumLifetime">): string =>
  `the token is valid for longer than JWT_MAX_LIFETIME (${Duration.format(maximumLifetime)})`

/**
 * The last base64url character of a signature has unused bits, and texts that differ in them decode alike (RFC 7515, section 2). What
 * comes before the signature is signed as text. So each token has one spelling, and one place in the cache.
 */
const hasCanonicalSignature = (token: string): boolean => {
  const signature = token.slice(token.lastIndexOf(".") + 1)
  return Buffer.from(signature, "base64url").toString("base64url") === signature
}

/** Verifies signature and claims at `now`, in milliseconds since the epoch. */
export const verifyToken = (verification: VerificationOptions, token: string, now: number) =>
  Effect.filterOrFail(
    verifiedToken(verification, token, now),
    () => hasCanonicalSignature(token),
    () => invalid("the token's signature is not spelt as base64url without padding")
  )

const verifiedToken = (
  verification: VerificationOptions,
  token: string,
  now: number
): Effect.Effect<VerifiedToken, Unauthenticated | KeysUnavailable> =>
  Effect.gen(function* () {
    const { audience, issuedTokens, issuer, jwt, remote } = verification
    const header = yield* headerOf(token)
    const own = yield* issuedTokens?.keyOf(header) ?? Effect.succeed(undefined)
    if (own !== undefined) {
      return yield* Effect.tryPromise({ try: () => verifyIssued(token, own, now), catch: refusalOf })
    }
    if (!isToken(header)) return yield* invalid("the token is another kind of JWT (typ)")
    const generation = remote?.generation()
    const tolerance = Duration.toSeconds(jwt.clockTolerance)
    const payload = yield* verifiedPayload(verification, token, header, {
      algorithms: [header.alg],
      requiredClaims: ["sub", "exp", "iat"],
      clockTolerance: tolerance,
      currentDate: new Date(now),
      ...(issuer === undefined ? {} : { issuer }),
      ...(audience === undefined ? {} : { audience })
    })
    const ghostId = yield* ghostOf(payload, verification)
    const { act, exp = Number.NaN, iat = Number.NaN, origin } = payload
    const id = typeof payload.jti === "string" ? payload.jti : undefined
    const acting = actingOf(act, iat * seconds)
    const originIds = originIdsOf(originOf(origin))
    const problem = timeProblem(exp, iat, now / seconds + tolerance)
    if (problem !== undefined) return yield* invalid(problem)
    const isOverlong = exp - iat > Duration.toSeconds(jwt.maximumLifetime) + tolerance
    if (isOverlong && !jwt.longServiceTokens) return yield* invalid(overlong(jwt))
    // As jose compares: whole seconds of the clock.
    const until = Math.ceil(exp + tolerance) * seconds
    const from = payload.nbf === undefined ? Number.NEGATIVE_INFINITY : Math.ceil(payload.nbf - tolerance) * seconds
    const isShared = header.alg === sharedAlgorithm
    return {
      ghostId,
      issuedAt: iat * seconds,
      id,
      ...(originIds.length === 0 ? {} : { originIds }),
      ...(acting === undefined ? {} : { acting }),
      isOverlong,
      from,
      until,
      keyGeneration: isShared ? undefined : generation
    }
  })
