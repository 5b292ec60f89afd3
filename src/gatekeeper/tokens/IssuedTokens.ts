import type { KeyObject } from "node:crypto"
import { randomUUID } from "node:crypto"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import { type JWTHeaderParameters, jwtVerify, SignJWT } from "jose"
import { issuer } from "../../clients/PeerTokens.ts"
import type { ServiceName } from "../../domain/Service.ts"
import { ServiceKeys } from "../services/ServiceKeys.ts"
import type { VerifiedToken } from "./VerifiedTokens.ts"

/** RFC 9068. No token of an agent is signed by a key of a gatekeeper, so the two are never confused. */
const type = "at+jwt"

const algorithm = "EdDSA"

/** A token that a gatekeeper issues. */
export interface IssuedClaims {
  readonly ghostId: string
  /** The one service that may use the token. */
  readonly audience: ServiceName
  /** The service that acts for the ghost (RFC 8693, `act`); undefined where the ghost is a service and acts for itself. */
  readonly actor: string | undefined
  /** Seconds since the epoch. */
  readonly issuedAt: number
  readonly expiresAt: number
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
      sign: ({ actor, audience, expiresAt, ghostId, issuedAt }) =>
        Effect.map(
          Effect.promise(() =>
            new SignJWT(actor === undefined ? {} : { act: { sub: actor } })
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
  const { act, aud, exp = 0, iat = 0, jti, sub = "" } = payload
  return {
    ghostId: sub,
    issuedAt: iat * 1_000,
    id: jti,
    isOverlong: false,
    from: Number.NEGATIVE_INFINITY,
    until: exp * 1_000,
    keyGeneration: undefined,
    issued: { audience: String(aud), actor: Predicate.hasProperty(act, "sub") ? String(act.sub) : undefined }
  }
}
