import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { CompactSign, compactVerify } from "jose"
import type { Keyring } from "./SigningKeys.ts"

/** The claims that a certificate's signature covers. Times are whole seconds since 1970, as in a JWT. */
export const Claims = Schema.Struct({
  iss: Schema.Literal("gravitas-guardian"),
  jti: Schema.UUID,
  sub: Schema.String,
  version: Schema.Int,
  iat: Schema.Int,
  exp: Schema.Int
})
export type Claims = typeof Claims.Type

/** The columns of a certificate that its signature covers. */
export const SignedRow = Schema.Struct({
  id: Schema.NullOr(Schema.String),
  agent: Schema.String,
  version: Schema.Number,
  /** Microseconds since 1970: the precision of PostgreSQL. */
  issuedMicros: Schema.BigInt,
  expiresMicros: Schema.BigInt,
  keyId: Schema.NullOr(Schema.String),
  signature: Schema.NullOr(Schema.String)
})
export type SignedRow = typeof SignedRow.Type

/** A row differs from what was signed, so that it certifies nothing. */
export class CertificateAltered extends Schema.TaggedError<CertificateAltered>()("CertificateAltered", {
  reason: Schema.String
}) {
  override get message(): string {
    return `the certificate is not valid: ${this.reason}`
  }
}

const algorithm = "EdDSA"

/** Keeps any other token that this key signs from passing for a certificate (RFC 8725, section 3.11). */
const type = "certificate+jwt"

export const issuer = "gravitas-guardian"

const maximumLength = 4_096

/** Signs with the active key: a compact JWS (RFC 7515). */
export const sign = (keys: Keyring, claims: Claims): Effect.Effect<string> =>
  Effect.promise(() =>
    new CompactSign(Buffer.from(JSON.stringify(claims)))
      .setProtectedHeader({ alg: algorithm, kid: keys.active.id, typ: type })
      .sign(keys.active.privateKey)
  )

/** Requires the canonical spelling: the last base64url character of a signature has two unused bits, and texts that differ in them decode alike. */
const isCanonical = (jws: string): boolean => {
  const parts = jws.split(".")
  return parts.length === 3 && parts.every((part) => Buffer.from(part, "base64url").toString("base64url") === part)
}

const decodeClaims = Schema.decodeUnknown(Schema.parseJson(Claims), { onExcessProperty: "error" })

const altered = (reason: string) => new CertificateAltered({ reason })

/** Verifies a compact JWS, and returns its claims and the id of the key that signed it. */
export const verifySignature = (keys: Keyring, jws: string) =>
  Effect.gen(function* () {
    if (jws.length > maximumLength || !isCanonical(jws)) return yield* altered("its signature is malformed")
    const verified = yield* Effect.tryPromise({
      try: () =>
        compactVerify(
          jws,
          ({ kid }) => {
            const key = typeof kid === "string" ? keys.find(kid) : undefined
            if (key === undefined) throw altered("the key that signed it is not known here")
            return key
          },
          { algorithms: [algorithm] }
        ),
      catch: (thrown) => (thrown instanceof CertificateAltered ? thrown : altered("its signature is wrong"))
    })
    if (verified.protectedHeader.typ !== type) return yield* altered("what was signed is not a certificate")
    const claims = yield* Effect.mapError(decodeClaims(Buffer.from(verified.payload).toString("utf8")), () =>
      altered("what was signed is not a certificate")
    )
    return { keyId: verified.protectedHeader.kid ?? "", claims }
  })

type VerifiedSignature = Effect.Effect.Success<ReturnType<typeof verifySignature>>

/** Signatures in memory, of at most `maximumLength` characters each. */
const maximumCached = 2_000

/** Makes a verifier that keeps valid signatures: the keys do not change, so the same text has the same result. Reports each invalid one. */
export const makeCachedVerifier = (keys: Keyring) => {
  const verified = new Map<string, VerifiedSignature>()
  return (jws: string): Effect.Effect<VerifiedSignature, CertificateAltered> =>
    Effect.suspend(() => {
      const known = verified.get(jws)
      if (known !== undefined) return Effect.succeed(known)
      return Effect.tap(verifySignature(keys, jws), (found) =>
        Effect.sync(() => {
          if (verified.size >= maximumCached) verified.clear()
          verified.set(jws, found)
        })
      )
    })
}

const micros = (seconds: number): bigint => BigInt(seconds) * 1_000_000n

/** Verifies the signature of a row and compares each column with it. Does not look at the validity in time. */
export const verifyRow = (
  keys: Keyring,
  row: SignedRow,
  verify: ReturnType<typeof makeCachedVerifier> = (jws) => verifySignature(keys, jws)
): Effect.Effect<Claims, CertificateAltered> =>
  Effect.gen(function* () {
    if (row.signature === null) return yield* altered("it is not signed")
    const { claims, keyId } = yield* verify(row.signature)
    const differing = [
      row.id === claims.jti ? [] : ["id"],
      row.agent === claims.sub ? [] : ["agent"],
      row.version === claims.version ? [] : ["version"],
      row.issuedMicros === micros(claims.iat) ? [] : ["issued_at"],
      row.expiresMicros === micros(claims.exp) ? [] : ["expires_at"],
      row.keyId === keyId ? [] : ["key_id"]
    ].flat()
    if (differing.length > 0) return yield* altered(`its row differs from what was signed (${differing.join(", ")})`)
    return claims
  })
