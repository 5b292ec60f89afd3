import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { TokenCredential } from "../domain/Stops.ts"

/** Times in milliseconds since the epoch. */
export interface TokenClaims extends TokenCredential {
  readonly subject?: string | undefined
  readonly expiresAt: number | undefined
}

const Payload = Schema.parseJson(
  Schema.Struct({
    sub: Schema.optional(Schema.Unknown),
    jti: Schema.optional(Schema.Unknown),
    iat: Schema.optional(Schema.Number),
    exp: Schema.optional(Schema.Number),
    act: Schema.optional(Schema.Unknown),
    origin: Schema.optional(Schema.Unknown)
  })
)
const decodePayload = Schema.decodeOption(Payload)

/** The claim `origin`: the token that this one was first exchanged for, or made with by `POST /tokens`. Its revocation ends this one. */
export const TokenOrigin = Schema.Struct({
  /** Of an exchanged token alone. */
  iat: Schema.optional(Schema.Number),
  jti: Schema.optional(Schema.String),
  /** The `jti` of each token that the origin came from itself, the last one first. */
  earlier: Schema.optional(Schema.Array(Schema.String)),
  /** It is valid for longer than `JWT_MAX_LIFETIME`. */
  overlong: Schema.optional(Schema.Boolean)
})
type TokenOrigin = typeof TokenOrigin.Type
const decodeOrigin = Schema.decodeUnknownOption(TokenOrigin)

/** Reads the claim `origin`. Another issuer's claim of that name makes a token older at most, so that stops cover more. */
export const originOf = (origin: unknown): TokenOrigin =>
  Option.getOrElse(decodeOrigin(origin), (): TokenOrigin => ({}))

export const originIdsOf = ({ earlier = [], jti }: TokenOrigin): ReadonlyArray<string> =>
  jti === undefined ? earlier : [jti, ...earlier]

/** The reverse of `originIdsOf`. */
export const originClaim = ([jti, ...earlier]: ReadonlyArray<string>): Pick<TokenOrigin, "jti" | "earlier"> => ({
  ...(jti === undefined ? {} : { jti }),
  ...(earlier.length === 0 ? {} : { earlier })
})

interface Actor {
  readonly sub: string
  readonly act?: Actor | undefined
}

/** The claim `act` (RFC 8693, section 4.1): who acts for the subject, the last one outermost. */
export const Actor: Schema.Schema<Actor> = Schema.Struct({
  sub: Schema.String,
  act: Schema.optional(Schema.suspend((): Schema.Schema<Actor> => Actor))
})
const decodeActor = Schema.decodeUnknownOption(Actor)

export const actorsOf = ({ act, sub }: Actor): ReadonlyArray<string> => [
  sub,
  ...(act === undefined ? [] : actorsOf(act))
]

/** The reverse of `actorsOf`. */
export const actorClaim = ([sub, ...earlier]: readonly [string, ...ReadonlyArray<string>]): Actor => {
  const [next, ...rest] = earlier
  return next === undefined ? { sub } : { sub, act: actorClaim([next, ...rest]) }
}

/**
 * Returns the ghosts that asked for a token in another's name, and its `iat`. `act` is the value of that claim, `issuedAt` the `iat` in
 * milliseconds. A stop of one of them covers the token too. Another issuer's claim of that name makes stops cover more at most.
 */
export const actingOf = (act: unknown, issuedAt: number | undefined): TokenCredential["acting"] =>
  issuedAt === undefined
    ? undefined
    : Option.getOrUndefined(Option.map(decodeActor(act), (actor) => ({ actors: actorsOf(actor), issuedAt })))

const textOf = (claim: unknown): string | undefined => (typeof claim === "string" ? claim : undefined)

const millis = (seconds: number | undefined): number | undefined =>
  seconds === undefined ? undefined : seconds * 1_000

/**
 * Reads the claims of a bearer token without verifying it. Only what the gatekeeper has accepted may be believed: then these are the
 * claims that it verified. Every claim is undefined where the header holds no such token.
 */
export const bearerClaims = (authorization: string | undefined): TokenClaims => {
  const payload = /^bearer +[^.]*\.([A-Za-z0-9_-]+)\./i.exec(authorization ?? "")?.[1] ?? ""
  const claims = decodePayload(Buffer.from(payload, "base64url").toString())
  const { act, exp, iat, jti, origin, sub } = Option.getOrElse(claims, (): typeof Payload.Type => ({}))
  const first = originOf(origin)
  const issuedAt = first.iat === undefined || iat === undefined ? iat : Math.min(iat, first.iat)
  return {
    subject: textOf(sub),
    id: textOf(jti),
    issuedAt: millis(issuedAt),
    expiresAt: millis(exp),
    originIds: originIdsOf(first),
    acting: actingOf(act, millis(iat))
  }
}
