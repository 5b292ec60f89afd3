import { webcrypto } from "node:crypto"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { SignJWT } from "jose"
import { GatekeeperSettings } from "../GatekeeperSettings.ts"
import { anonymousGhost, bearerToken, type Unauthenticated } from "./BearerToken.ts"
import type { KeysUnavailable } from "./KeyFetch.ts"
import { type RemoteKeys, remoteKeys } from "./RemoteKeys.ts"
import { signingSecret } from "./SigningSecret.ts"
import { sharedAlgorithm, TokenSettings } from "./TokenSettings.ts"
import { verifyToken } from "./TokenVerification.ts"
import { type VerifiedToken, VerifiedTokens } from "./VerifiedTokens.ts"

/** This process has no secret to sign with, since another issuer makes the tokens. */
export class SigningUnavailable extends Schema.TaggedError<SigningUnavailable>()("SigningUnavailable", {}) {
  override get message(): string {
    return `no token can be made here: JWT_ALGORITHMS does not allow ${sharedAlgorithm}. Ask the issuer whose keys are at JWKS_URL, or set JWT_SECRET_KEY and allow ${sharedAlgorithm}`
  }
}

/** The gatekeeper would refuse the token. */
export class LifetimeTooLong extends Schema.TaggedError<LifetimeTooLong>()("LifetimeTooLong", {
  longest: Schema.String
}) {
  override get message(): string {
    return `no token may be valid for longer than JWT_MAX_LIFETIME (${this.longest}): ask for a shorter --ttl, or raise it here and at the gatekeeper`
  }
}

/** Number of verified tokens in the cache; each takes about 300 bytes. */
const cachedTokens = 16_384

const importSecret = (secret: Redacted.Redacted) =>
  Effect.promise(() =>
    webcrypto.subtle.importKey(
      "raw",
      new TextEncoder().encode(Redacted.value(secret)),
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["sign", "verify"]
    )
  )

/** What stands for the token of a caller with `AUTH_DISABLED=true`. */
const anonymousToken: VerifiedToken = {
  ghostId: anonymousGhost,
  issuedAt: undefined,
  id: undefined,
  isOverlong: false,
  from: Number.NEGATIVE_INFINITY,
  until: Number.POSITIVE_INFINITY,
  keyGeneration: undefined
}

/** Bearer tokens: JWT (RFC 7519), signed with a shared secret or with one of an issuer's keys. */
export class Tokens extends Context.Tag("gatekeeper/Tokens")<
  Tokens,
  {
    /** Verifies the value of an `Authorization` header, which proves the ghost (`sub`) of its token. */
    readonly verify: (
      authorization: string | undefined
    ) => Effect.Effect<VerifiedToken, Unauthenticated | KeysUnavailable>
    /** Makes a token for `ghost`. Its `groups` claim informs other programs and permits nothing here. */
    readonly issue: (
      ghost: string,
      options: { readonly groups: ReadonlyArray<string>; readonly timeToLive: Duration.Duration }
    ) => Effect.Effect<Redacted.Redacted, SigningUnavailable | LifetimeTooLong>
  }
>() {
  static readonly layer = Layer.scoped(
    Tokens,
    Effect.gen(function* () {
      const jwt = yield* TokenSettings
      const { authDisabled } = yield* GatekeeperSettings
      const isShared = jwt.algorithms.includes(sharedAlgorithm)
      const secrets = isShared ? [yield* signingSecret, ...jwt.previousSecrets] : []
      const sharedKeys = yield* Effect.forEach(secrets, importSecret)
      const remote: RemoteKeys | undefined = Option.isSome(jwt.jwks) ? yield* remoteKeys(jwt.jwks.value) : undefined
      const issuer = Option.getOrUndefined(jwt.issuer)
      const audience = Option.getOrUndefined(jwt.audience)
      const verified = new VerifiedTokens(cachedTokens)
      const verification = { jwt, issuer, audience, sharedKeys, remote, reserved: anonymousGhost }

      const check = (token: string, digest: string, now: number) =>
        Effect.map(verifyToken(verification, token, now), (found) => {
          verified.keep(digest, found)
          return found
        })

      return {
        verify: (authorization) =>
          authDisabled
            ? Effect.succeed(anonymousToken)
            : Effect.clockWith((clock) => {
                const bearer = bearerToken(authorization)
                if (Either.isLeft(bearer)) return Effect.fail(bearer.left)
                const token = bearer.right
                const now = clock.unsafeCurrentTimeMillis()
                const digest = VerifiedTokens.digest(token)
                const known = verified.find(digest, {
                  now,
                  keyGeneration: remote?.generation() ?? 0,
                  keysBelievedUntil: remote?.believedUntil() ?? 0
                })
                return known === undefined ? check(token, digest, now) : Effect.succeed(known)
              }),
        issue: Effect.fnUntraced(function* (ghost, { groups, timeToLive }) {
          const [key] = sharedKeys
          if (key === undefined) return yield* new SigningUnavailable()
          if (Duration.greaterThan(timeToLive, jwt.maximumLifetime)) {
            return yield* new LifetimeTooLong({ longest: Duration.format(jwt.maximumLifetime) })
          }
          const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
          const token = new SignJWT({ groups: [...groups] })
            .setProtectedHeader({ alg: sharedAlgorithm, typ: "JWT" })
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
