import type { KeyObject } from "node:crypto"
import { randomUUID } from "node:crypto"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { errors, type JWTHeaderParameters, jwtVerify, SignJWT } from "jose"
import { issuer } from "../../clients/PeerTokens.ts"
import { Actor, actorClaim, actorsOf, originClaim, originIdsOf, TokenOrigin } from "../../clients/TokenClaims.ts"
import type { ServiceName } from "../../domain/Service.ts"
import { ServiceKeys } from "../services/ServiceKeys.ts"
import type { VerifiedToken } from "./VerifiedTokens.ts"

/** RFC 9068. No token of an agent is signed by a key of a gatekeeper, so the two are never confused. */
const type = "at+jwt"

const algorithm = "EdDSA"

/** The private claims of an exchanged token. */
const Exchanged = Schema.Struct({ act: Actor, origin: TokenOrigin })
const decodeExchanged = Schema.decodeUnknownOption(Exchanged)

/** A token that a gatekeeper issues. */
export interface IssuedClaims {
  readonly ghostId: string
  /** The one service that may use the token. */
  readonly audience: ServiceName
  /** Of a token that was exchanged; undefined where the ghost is a service and acts for itself. */
  readonly exchange: TokenExchange | undefined
  /** Seconds since the epoch. */
  readonly issuedAt: number
  readonly expiresAt: number
}

export interface TokenExchange {
  /** The services that act for the ghost, the last one first (RFC 8693, section 4.1). */
  readonly actors: readonly [string, ...ReadonlyArray<string>]
  readonly origin: typeof TokenOrigin.Type
}

/** The exchange of a verified token by a service. The origin of a token that was exchanged before stays. */
export const exchangeOf = (token: VerifiedToken, service: string): TokenExchange => {
  const { acting, audience, id, isOverlong, issuedAt, originIds = [] } = token
  const isExchanged = audience !== undefined && acting !== undefined
  return {
    actors: [service, ...(acting?.actors ?? [])],
    origin: {
      ...(issuedAt === undefined ? {} : { iat: issuedAt / 1_000 }),
      ...originClaim(isExchanged || id === undefined ? originIds : [id, ...originIds]),
      ...(isOverlong ? { overlong: true } : {})
    }
  }
}

/** Tokens that gatekeepers issue to services: signed by a gatekeeper's own key, for one audience. */
export class IssuedTokens extends Context.Tag("gatekeeper/services/IssuedTokens")<
  IssuedTokens,
  {
    readonly sign: (claims: IssuedClaims) => Effect.Effect<Redacted.Redacted>
    /** The gatekeeper's key that signed a token with this header; undefined where no gatekeeper did. */
    readonly keyOf: (header: JWTHeaderParameters) => Effect.Effect<KeyObject | undefined>
  }
>() {
  static readonly layer = Layer.effect(
    IssuedTokens,
    Effect.map(ServiceKeys, ({ find, own }) => ({
      sign: ({ audience, exchange, expiresAt, ghostId, issuedAt }) =>
        Effect.map(
          Effect.promise(() =>
            new SignJWT(exchange === undefined ? {} : { act: actorClaim(exchange.actors), origin: exchange.origin })
              .setProtectedHeader({ alg: algorithm, typ: type, kid: own.id })
              .setIssuer(issuer)
              .setSubject(ghostId)
              .setAudience(audience)
              .setIssuedAt(issuedAt)
              .setExpirationTime(expiresAt)
              .setJti(randomUUID())
              .sign(own.key)
          ),
          Redacted.make
        ),
      keyOf: ({ alg, kid, typ }) =>
        alg === algorithm && typ === type && typeof kid === "string" && kid.length === own.id.length
          ? find(kid, "gatekeeper")
          : Effect.succeed(undefined)
    }))
  )
}

/** Verifies a token that a gatekeeper issued. Throws as jose does. */
export const verifyIssued = async (token: string, key: KeyObject, now: number): Promise<VerifiedToken> => {
  const { payload } = await jwtVerify(token, key, {
    algorithms: [algorithm],
    typ: type,
    issuer,
    requiredClaims: ["sub", "iat", "exp", "aud"],
    currentDate: new Date(now)
  })
  const { aud, exp = 0, iat = 0, jti, sub = "" } = payload
  const issuedAt = iat * 1_000
  const own = {
    ghostId: sub,
    issuedAt,
    id: jti,
    isOverlong: false,
    from: Number.NEGATIVE_INFINITY,
    until: exp * 1_000,
    keyGeneration: undefined,
    audience: String(aud)
  }
  if (payload["act"] === undefined) return own
  const exchanged = decodeExchanged(payload)
  if (Option.isNone(exchanged)) throw new errors.JWTInvalid("an exchanged token without its origin")
  const { act, origin } = exchanged.value
  return {
    ...own,
    issuedAt: origin.iat === undefined ? issuedAt : Math.min(issuedAt, origin.iat * 1_000),
    originIds: originIdsOf(origin),
    isOverlong: origin.overlong === true,
    acting: { actors: actorsOf(act), issuedAt }
  }
}
