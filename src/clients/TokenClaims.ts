import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/** Times in milliseconds since the epoch. */
export interface TokenClaims {
  readonly id: string | undefined
  readonly issuedAt: number | undefined
  readonly expiresAt: number | undefined
}

const Payload = Schema.parseJson(
  Schema.Struct({
    jti: Schema.optional(Schema.Unknown),
    iat: Schema.optional(Schema.Number),
    exp: Schema.optional(Schema.Number)
  })
)
const decodePayload = Schema.decodeOption(Payload)

const millis = (seconds: number | undefined): number | undefined =>
  seconds === undefined ? undefined : seconds * 1_000

/**
 * Reads the claims of a bearer token without verifying it. Only what the gatekeeper has accepted may be believed: then these are the
 * claims that it verified. Every claim is undefined where the header holds no such token.
 */
export const bearerClaims = (authorization: string | undefined): TokenClaims => {
  const payload = /^bearer +[^.]*\.([A-Za-z0-9_-]+)\./i.exec(authorization ?? "")?.[1] ?? ""
  const claims = decodePayload(Buffer.from(payload, "base64url").toString())
  const { exp, iat, jti } = Option.getOrElse(claims, (): typeof Payload.Type => ({}))
  return { id: typeof jti === "string" ? jti : undefined, issuedAt: millis(iat), expiresAt: millis(exp) }
}
