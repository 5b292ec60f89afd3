import { type CryptoKey, createLocalJWKSet, errors, type JSONWebKeySet, type JWK, type JWTHeaderParameters } from "jose"

/** An issuer's published keys (JSON Web Key Set, RFC 7517). */
export interface KeySet {
  /**
   * The keys that may have signed a token with this header, at most 16. An issuer may list a key twice, or two keys under one `kid`.
   * Rejects with jose's JWKSNoMatchingKey, or with JWKSMultipleMatchingKeys if the token names no key and several fit.
   */
  readonly find: (header: JWTHeaderParameters) => Promise<ReadonlyArray<CryptoKey>>
  /** Why the key that a token names is published and cannot be used, if that is so. */
  readonly problemOf: (header: JWTHeaderParameters) => string | undefined
}

const mostKeys = 16

/** RFC 7518, section 3.3. */
const leastModulusBits = 2048

/** The length of an unsigned integer of big-endian bytes in base64url (RFC 7518, section 6.3.1.1). */
const bitsOf = (base64url: string): number => {
  const bytes = Buffer.from(base64url, "base64url")
  const first = bytes.findIndex((byte) => byte !== 0)
  return first === -1 ? 0 : (bytes.length - first) * 8 - (Math.clz32(bytes[first] ?? 0) - 24)
}

/** Why a published key must not verify a token. Undefined if nothing speaks against it. */
export const keyProblem = (key: JWK): string | undefined => {
  if (key.kty === "oct") return "it is a shared secret (oct), which its publication has given away"
  if (key.d !== undefined) return "it is published with its private part, so anyone can sign with it"
  if (key.kty !== "RSA" || typeof key.n !== "string") return undefined
  const bits = bitsOf(key.n)
  return bits < leastModulusBits ? `it is an RSA key of ${bits} bits, and ${leastModulusBits} are the least` : undefined
}

/** RFC 9864 names the algorithm of an Ed25519 key `Ed25519`; before it was `EdDSA`. The curve says which it is. */
const withEitherName = ({ alg, ...key }: JWK): JWK =>
  alg === undefined || (key.kty === "OKP" && key.crv === "Ed25519" && /^Ed(DSA|25519)$/.test(alg))
    ? key
    : { ...key, alg }

const isKeySet = (value: unknown): value is { readonly keys: ReadonlyArray<unknown> } =>
  typeof value === "object" && value !== null && "keys" in value && Array.isArray(value.keys)

const isKey = (value: unknown): value is JWK => typeof value === "object" && value !== null && !Array.isArray(value)

/** Parses a key set. Members of `keys` that are no keys are passed over (RFC 7517, section 5). Throws jose's JWKSInvalid, or SyntaxError. */
export const parseKeySet = (text: string): KeySet => {
  const parsed: unknown = JSON.parse(text)
  if (!isKeySet(parsed)) throw new errors.JWKSInvalid()
  const keys = parsed.keys.filter(isKey)
  const usable: JSONWebKeySet = { keys: keys.filter((key) => keyProblem(key) === undefined).map(withEitherName) }
  const find = createLocalJWKSet(usable)
  return {
    find: async ({ kid: given, ...header }) => {
      // Some issuers write an empty `kid` where they mean none.
      const kid = given === "" ? undefined : given
      try {
        return [await find(kid === undefined ? header : { ...header, kid })]
      } catch (thrown) {
        if (!(thrown instanceof errors.JWKSMultipleMatchingKeys) || kid === undefined) throw thrown
        const several: Array<CryptoKey> = []
        for await (const key of thrown) if (several.push(key) === mostKeys) break
        return several
      }
    },
    problemOf: ({ kid }) => {
      const named = keys.filter((key) => kid !== undefined && key.kid === kid)
      return named.map(keyProblem).find((problem) => problem !== undefined)
    }
  }
}
