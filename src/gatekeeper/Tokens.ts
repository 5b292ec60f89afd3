import { webcrypto } from "node:crypto"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { errors, type JWTVerifyOptions, jwtVerify, SignJWT } from "jose"
import { Settings } from "../platform/Settings.ts"
import { signingSecret } from "../platform/SigningSecret.ts"

/** The request names nobody that can be believed. `reason` is for the trail and holds nothing of the token. */
export class Unauthenticated extends Schema.TaggedError<Unauthenticated>()("Unauthenticated", {
  problem: Schema.Literal("missing", "scheme", "expired", "invalid"),
  reason: Schema.String
}) {
  override get message(): string {
    return this.reason
  }
}

const algorithm = "HS256"

/** Of more nobody has use; the whole of it would be hashed before it is refused. */
const maximumTokenLength = 8 * 1024

/** RFC 6750, section 2.1; the scheme's case is free (RFC 9110, section 11.1). */
const bearer = /^bearer +([A-Za-z0-9\-._~+/]+=*) *$/i

/** Why jose refused, without a word of the token itself. */
const refusalOf = (thrown: unknown): Unauthenticated => {
  if (thrown instanceof errors.JWTExpired) {
    return new Unauthenticated({ problem: "expired", reason: "the token has expired" })
  }
  if (thrown instanceof errors.JWTClaimValidationFailed) {
    return new Unauthenticated({ problem: "invalid", reason: `the token's claim "${thrown.claim}" is not acceptable` })
  }
  if (thrown instanceof errors.JWSSignatureVerificationFailed) {
    return new Unauthenticated({ problem: "invalid", reason: "the token's signature is wrong" })
  }
  if (thrown instanceof errors.JOSEAlgNotAllowed) {
    return new Unauthenticated({ problem: "invalid", reason: `the token's algorithm is not ${algorithm}` })
  }
  return new Unauthenticated({ problem: "invalid", reason: "the token is malformed" })
}

/** Bearer tokens: JWT signed with HS256 (RFC 7519, RFC 7518). */
export class Tokens extends Context.Tag("gatekeeper/Tokens")<
  Tokens,
  {
    /** The ghost (`sub`) of an `Authorization` header's value. */
    readonly verify: (authorization: string | undefined) => Effect.Effect<string, Unauthenticated>
    /** A token for `ghost`; its `groups` claim is information for others and grants nothing here. */
    readonly issue: (
      ghost: string,
      options: { readonly groups: ReadonlyArray<string>; readonly timeToLive: Duration.Duration }
    ) => Effect.Effect<Redacted.Redacted>
  }
>() {
  static readonly layer = Layer.effect(
    Tokens,
    Effect.gen(function* () {
      const settings = yield* Settings
      const secret = yield* signingSecret
      const key = yield* Effect.promise(() =>
        webcrypto.subtle.importKey(
          "raw",
          new TextEncoder().encode(Redacted.value(secret)),
          { name: "HMAC", hash: "SHA-256" },
          false,
          ["sign", "verify"]
        )
      )
      const issuer = Option.getOrUndefined(settings.jwt.issuer)
      const audience = Option.getOrUndefined(settings.jwt.audience)
      const options: JWTVerifyOptions = {
        algorithms: [algorithm],
        requiredClaims: ["sub", "exp"],
        ...(issuer === undefined ? {} : { issuer }),
        ...(audience === undefined ? {} : { audience })
      }
      return {
        verify: Effect.fnUntraced(function* (authorization) {
          if (authorization === undefined || authorization.trim() === "") {
            return yield* new Unauthenticated({ problem: "missing", reason: "Missing Authorization header" })
          }
          const token = bearer.exec(authorization)?.[1]
          if (token === undefined) {
            return yield* new Unauthenticated({
              problem: "scheme",
              reason: "the Authorization header is not `Bearer <token>`"
            })
          }
          if (token.length > maximumTokenLength) {
            const reason = `the token is longer than ${maximumTokenLength} characters`
            return yield* new Unauthenticated({ problem: "invalid", reason })
          }
          const { payload } = yield* Effect.tryPromise({ try: () => jwtVerify(token, key, options), catch: refusalOf })
          if (typeof payload.sub !== "string" || payload.sub === "") {
            return yield* new Unauthenticated({ problem: "invalid", reason: "the token names no subject" })
          }
          return payload.sub
        }),
        issue: Effect.fnUntraced(function* (ghost, { groups, timeToLive }) {
          const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
          const token = new SignJWT({ groups: [...groups] })
            .setProtectedHeader({ alg: algorithm, typ: "JWT" })
            .setSubject(ghost)
            .setIssuedAt(now)
            .setExpirationTime(now + Math.ceil(Duration.toSeconds(timeToLive)))
          if (issuer !== undefined) token.setIssuer(issuer)
          if (audience !== undefined) token.setAudience(audience)
          return Redacted.make(yield* Effect.promise(() => token.sign(key)))
        })
      }
    })
  )
}
