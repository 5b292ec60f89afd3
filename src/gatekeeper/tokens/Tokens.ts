import { randomUUID, webcrypto } from "node:crypto"
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
import { actorClaim, originClaim } from "../../clients/TokenClaims.ts"
import type { ServiceName } from "../../domain/Service.ts"
import { Settings } from "../../platform/config/Settings.ts"
import { GatekeeperSettings } from "../GatekeeperSettings.ts"
import { anonymousGhost, bearerToken, Unauthenticated } from "./BearerToken.ts"
import { IssuedTokens } from "./IssuedTokens.ts"
import type { KeysUnavailable } from "./KeyFetch.ts"
import { type RemoteKeys, type RemoteKeysStatus, remoteKeys } from "./RemoteKeys.ts"
import { signingSecret } from "./SigningSecret.ts"
import { sharedAlgorithm, TokenSettings } from "./TokenSettings.ts"
import { subjectProblem, verifyToken } from "./TokenVerification.ts"
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

/** The gatekeeper would refuse a token of this name. */
export class SubjectRefused extends Schema.TaggedError<SubjectRefused>()("SubjectRefused", {
  ghost: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `no token is made for ${JSON.stringify(this.ghost)}: the token's subject ${this.problem}`
  }
}

/**
 * What a token is used for. A token that a gatekeeper issued is good for the gatekeeper alone. One that was exchanged for a caller's is
 * good for decisions only; a call within this process may carry one that was exchanged for the calling service.
 */
export type TokenUse = "request" | "decision" | "decision in this process" | "foreign in this process"

const gatekeeper: ServiceName = "gatekeeper"

const useProblem = ({ acting, audience }: VerifiedToken, use: TokenUse): string | undefined => {
  if (audience === undefined || use === "decision in this process") return undefined
  if (audience !== gatekeeper || use === "foreign in this process") return `the token is for the ${audience} alone`
  return acting === undefined || use === "decision" ? undefined : "the token is for decisions alone (POST /validate)"
}

interface IssueOptions {
  /** The claim `groups`: it informs other programs, and permits nothing here. */
  readonly groups: ReadonlyArray<string>
  readonly timeToLive: Duration.Duration
  /** The ghosts that asked for it in another's name, the last one first: a stop of one of them covers the token. */
  readonly actors?: readonly [string, ...ReadonlyArray<string>]
  /** The `jti` of each token that it comes from, the last one first: a revocation of one of them covers the token. */
  readonly originIds?: ReadonlyArray<string>
}

export interface IssuedToken {
  readonly token: Redacted.Redacted
  /** Its `jti`. */
  readonly id: string
  /** Seconds since the epoch. */
  readonly issuedAt: number
  readonly expiresAt: number
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

/** The token of a caller with `AUTH_DISABLED=true`. */
const anonymousToken: VerifiedToken = {
  ghostId: anonymousGhost,
  issuedAt: undefined,
  id: undefined,
  isOverlong: false,
  from: Number.NEGATIVE_INFINITY,
  until: Number.POSITIVE_INFINITY,
  keyGeneration: undefined
}

/** The cache of verified tokens, asked with what is known of the issuer's keys now. */
const verifiedTokens = (remote: RemoteKeys | undefined) => {
  const verified = new VerifiedTokens(cachedTokens)
  const find = (digest: string, now: number): VerifiedToken | undefined =>
    verified.find(digest, {
      now,
      keyGeneration: remote?.generation() ?? 0,
      keysBelievedUntil: remote?.believedUntil() ?? 0
    })
  return {
    find,
    keep: (digest: string, token: VerifiedToken): void => verified.keep(digest, token),
    /** The token of an `Authorization` header, if it is known and may be used so. */
    usable: (authorization: string | undefined, use: TokenUse, now: number): VerifiedToken | undefined => {
      const bearer = bearerToken(authorization)
      const token = Either.isLeft(bearer) ? undefined : find(VerifiedTokens.digest(bearer.right), now)
      return token === undefined || useProblem(token, use) !== undefined ? undefined : token
    }
  }
}

/** Bearer tokens: JWT (RFC 7519), signed with a shared secret or with one of an issuer's keys. */
export class Tokens extends Context.Tag("gatekeeper/Tokens")<
  Tokens,
  {
    /** Returns what the value of an `Authorization` header proves: the ghost (`sub`) of its token, if the token may be used so. */
    readonly verify: (
      authorization: string | undefined,
      use?: TokenUse
    ) => Effect.Effect<VerifiedToken, Unauthenticated | KeysUnavailable>
    /** Returns what `verify` would, where that is known without a signature check; undefined otherwise, also for a refused token. */
    readonly known: (authorization: string | undefined, use?: TokenUse) => VerifiedToken | undefined
    /** Returns what an `Authorization` header proves, whatever the token may be used for. */
    readonly inspect: (
      authorization: string | undefined
    ) => Effect.Effect<VerifiedToken, Unauthenticated | KeysUnavailable>
    /** What is known of the issuer's keys; undefined without `JWKS_URL`. */
    readonly issuerKeys: () => RemoteKeysStatus | undefined
    /** Makes a token for `ghost`. */
    readonly issue: (
      ghost: string,
      options: IssueOptions
    ) => Effect.Effect<IssuedToken, SigningUnavailable | LifetimeTooLong | SubjectRefused>
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
      const verified = verifiedTokens(remote)
      const { environment } = yield* Settings
      const reservesServices = environment === "production"
      const issuedTokens = Option.getOrUndefined(yield* Effect.serviceOption(IssuedTokens))
      const verification = {
        ...{ jwt, issuer, audience, sharedKeys, remote, reserved: anonymousGhost },
        ...{ reservesServices, issuedTokens }
      }

      const check = (token: string, digest: string, now: number) =>
        Effect.map(verifyToken(verification, token, now), (found) => {
          verified.keep(digest, found)
          return found
        })

      const inspect = (authorization: string | undefined) =>
        authDisabled
          ? Effect.succeed(anonymousToken)
          : Effect.clockWith((clock) => {
              const bearer = bearerToken(authorization)
              if (Either.isLeft(bearer)) return Effect.fail(bearer.left)
              const token = bearer.right
              const now = clock.unsafeCurrentTimeMillis()
              const digest = VerifiedTokens.digest(token)
              const known = verified.find(digest, now)
              return known === undefined ? check(token, digest, now) : Effect.succeed(known)
            })

      const clock = yield* Effect.clock

      return {
        inspect,
        known: (authorization, use = "request") =>
          authDisabled ? anonymousToken : verified.usable(authorization, use, clock.unsafeCurrentTimeMillis()),
        verify: (authorization, use = "request") =>
          Effect.flatMap(inspect(authorization), (token): Effect.Effect<VerifiedToken, Unauthenticated> => {
            const problem = useProblem(token, use)
            return problem === undefined
              ? Effect.succeed(token)
              : new Unauthenticated({ problem: "invalid", reason: problem })
          }),
        issuerKeys: () => remote?.status(),
        issue: Effect.fnUntraced(function* (ghost, { actors, groups, originIds = [], timeToLive }) {
          const [key] = sharedKeys
          if (key === undefined) return yield* new SigningUnavailable()
          const problem = subjectProblem(ghost, verification)
          if (problem !== undefined) return yield* new SubjectRefused({ ghost, problem })
          if (Duration.greaterThan(timeToLive, jwt.maximumLifetime)) {
            return yield* new LifetimeTooLong({ longest: Duration.format(jwt.maximumLifetime) })
          }
          const issuedAt = Math.floor((yield* Clock.currentTimeMillis) / 1000)
          const expiresAt = issuedAt + Math.ceil(Duration.toSeconds(timeToLive))
          const id = randomUUID()
          const token = new SignJWT({
            groups: [...groups],
            ...(actors === undefined ? {} : { act: actorClaim(actors) }),
            ...(originIds.length === 0 ? {} : { origin: originClaim(originIds) })
          })
            .setProtectedHeader({ alg: sharedAlgorithm, typ: "JWT" })
            .setSubject(ghost)
            .setIssuedAt(issuedAt)
            .setExpirationTime(expiresAt)
            .setJti(id)
          if (issuer !== undefined) token.setIssuer(issuer)
          if (audience !== undefined) token.setAudience(audience)
          return { token: Redacted.make(yield* Effect.promise(() => token.sign(key))), id, issuedAt, expiresAt }
        })
      }
    })
  )
}
