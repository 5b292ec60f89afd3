import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { calculateJwkThumbprint } from "jose"
import type { PublicJwk } from "../../contracts/guardian/GuardianSchemas.ts"

export interface VerificationKey {
  /** The key's own thumbprint (RFC 7638), so that no two keys can share an id. */
  readonly id: string
  readonly key: KeyObject
  readonly jwk: PublicJwk
}

/** Quotes nothing of the text, which is secret. */
export const unreadableKey = "it is not an Ed25519 key in PEM or as a JWK"

const isObject = (value: unknown): value is JsonWebKey => typeof value === "object" && value !== null

const read = (text: string): KeyObject => {
  const pem = text.trim().replaceAll("\\n", "\n")
  if (!pem.startsWith("{")) return pem.includes("PRIVATE KEY") ? createPrivateKey(pem) : createPublicKey(pem)
  const jwk: unknown = JSON.parse(text)
  if (!isObject(jwk)) throw new Error(unreadableKey)
  return jwk.d === undefined
    ? createPublicKey({ key: jwk, format: "jwk" })
    : createPrivateKey({ key: jwk, format: "jwk" })
}

/** A private or public Ed25519 key from PEM (PKCS #8, SPKI) or a JWK. */
export const readKey = (text: string): Either.Either<KeyObject, string> =>
  Either.try({ try: () => read(text), catch: () => unreadableKey }).pipe(
    Either.filterOrLeft(
      (key) => key.asymmetricKeyType === "ed25519",
      () => unreadableKey
    )
  )

/** The public side of a key. */
export const verificationKey = (key: KeyObject): Effect.Effect<VerificationKey> =>
  Effect.promise(async () => {
    const publicKey = key.type === "private" ? createPublicKey(key) : key
    const { x = "" } = publicKey.export({ format: "jwk" })
    const id = await calculateJwkThumbprint({ kty: "OKP", crv: "Ed25519", x })
    return { id, key: publicKey, jwk: { kty: "OKP", crv: "Ed25519", x, kid: id, alg: "EdDSA", use: "sig" } }
  })
