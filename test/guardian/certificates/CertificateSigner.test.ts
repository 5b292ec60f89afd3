import { generateKeyPairSync, randomUUID } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { CompactSign, SignJWT } from "jose"
import {
  type Claims,
  issuer,
  makeCachedVerifier,
  type SignedRow,
  sign,
  verifyRow
} from "../../../src/guardian/certificates/CertificateSigner.ts"
import { keyring } from "../../../src/guardian/certificates/SigningKeys.ts"

const privateKey = () => generateKeyPairSync("ed25519").privateKey

const claims: Claims = {
  iss: issuer,
  jti: randomUUID(),
  sub: "Librarian",
  version: 3,
  iat: 1_760_000_000,
  exp: 1_770_000_000
}

const rowOf = (given: Claims, keyId: string, signature: string): SignedRow => ({
  id: given.jti,
  agent: given.sub,
  version: given.version,
  issuedMicros: BigInt(given.iat) * 1_000_000n,
  expiresMicros: BigInt(given.exp) * 1_000_000n,
  keyId,
  signature
})

const sealed = Effect.gen(function* () {
  const keys = yield* keyring(privateKey(), [])
  const signature = yield* sign(keys, claims)
  return { keys, row: rowOf(claims, keys.active.id, signature) }
})

const flip = (text: string, bit: number): string => {
  const bytes = Buffer.from(text, "latin1")
  const index = Math.floor(bit / 8) % bytes.length
  bytes.writeUInt8(bytes.readUInt8(index) ^ (1 << (bit % 8)), index)
  return bytes.toString("latin1")
}

describe("A signed certificate", () => {
  it.effect("has the claims that were signed, where the row agrees", () =>
    Effect.gen(function* () {
      const { keys, row } = yield* sealed
      expect(yield* verifyRow(keys, row)).toEqual(claims)
    })
  )

  it.effect("is refused when any one bit of its signature is altered, each of them tried", () =>
    Effect.gen(function* () {
      const { keys, row } = yield* sealed
      const signature = row.signature ?? ""
      for (let bit = 0; bit < signature.length * 8; bit++) {
        const outcome = yield* Effect.either(verifyRow(keys, { ...row, signature: flip(signature, bit) }))
        expect([bit, Either.isLeft(outcome)]).toEqual([bit, true])
      }
    })
  )

  it.effect("is refused when any one bit of any column is altered, each of them tried", () =>
    Effect.gen(function* () {
      const { keys, row } = yield* sealed
      const bitsOf = (text: string) => Array.from({ length: text.length * 8 }, (_, bit) => flip(text, bit))
      const micros = Array.from({ length: 63 }, (_, bit) => 1n << BigInt(bit))
      const altered: ReadonlyArray<SignedRow> = [
        ...bitsOf(row.agent).map((agent) => ({ ...row, agent })),
        ...bitsOf(claims.jti).map((id) => ({ ...row, id })),
        ...bitsOf(keys.active.id).map((keyId) => ({ ...row, keyId })),
        ...Array.from({ length: 31 }, (_, bit) => ({ ...row, version: row.version ^ (1 << bit) })),
        ...micros.map((bit) => ({ ...row, issuedMicros: row.issuedMicros ^ bit })),
        ...micros.map((bit) => ({ ...row, expiresMicros: row.expiresMicros ^ bit })),
        { ...row, id: null },
        { ...row, keyId: null },
        { ...row, signature: null }
      ]
      for (const [index, one] of altered.entries()) {
        expect([index, Either.isLeft(yield* Effect.either(verifyRow(keys, one)))]).toEqual([index, true])
      }
    })
  )

  it.effect("is compared with its row also where its signature was verified before", () =>
    Effect.gen(function* () {
      const { keys, row } = yield* sealed
      const verify = makeCachedVerifier(keys)
      for (const _ of [1, 2]) expect(yield* verifyRow(keys, row, verify)).toEqual(claims)
      const signature = row.signature ?? ""
      const altered: ReadonlyArray<SignedRow> = [
        ...Array.from({ length: signature.length * 8 }, (_, bit) => ({ ...row, signature: flip(signature, bit) })),
        { ...row, agent: "Scout" },
        { ...row, version: row.version + 1 },
        { ...row, issuedMicros: row.issuedMicros + 1n },
        { ...row, expiresMicros: row.expiresMicros + 1n }
      ]
      for (const [index, one] of altered.entries()) {
        expect([index, Either.isLeft(yield* Effect.either(verifyRow(keys, one, verify)))]).toEqual([index, true])
      }
      expect(yield* verifyRow(keys, row, verify)).toEqual(claims)
    })
  )

  it.effect("names the columns in which its row and the signature differ", () =>
    Effect.gen(function* () {
      const { keys, row } = yield* sealed
      const { reason } = yield* Effect.flip(
        verifyRow(keys, { ...row, agent: "Scout", expiresMicros: row.expiresMicros + 1n })
      )
      expect(reason).toBe("its row differs from what was signed (agent, expires_at)")
    })
  )

  it.effect("is not valid by another guardian's key, and is by a former one", () =>
    Effect.gen(function* () {
      const { keys, row } = yield* sealed
      const stranger = yield* keyring(privateKey(), [])
      expect((yield* Effect.flip(verifyRow(stranger, row))).reason).toContain("not known here")
      const rotated = yield* keyring(privateKey(), [keys.active.privateKey])
      expect(rotated.active.id).not.toBe(keys.active.id)
      expect(yield* verifyRow(rotated, row)).toEqual(claims)
      expect(rotated.jwks.keys.map(({ kid }) => kid)).toEqual([rotated.active.id, keys.active.id])
    })
  )

  it.effect("is not another token that the same key signed, nor one without a signature", () =>
    Effect.gen(function* () {
      const { keys, row } = yield* sealed
      const { id, privateKey: key } = keys.active
      const payload = Buffer.from(JSON.stringify(claims))
      const [plainType, moreClaims, unsigned, symmetric] = yield* Effect.promise(() =>
        Promise.all([
          new CompactSign(payload).setProtectedHeader({ alg: "EdDSA", kid: id }).sign(key),
          new CompactSign(Buffer.from(JSON.stringify({ ...claims, admin: true })))
            .setProtectedHeader({ alg: "EdDSA", kid: id, typ: "certificate+jwt" })
            .sign(key),
          `${Buffer.from('{"alg":"none"}').toString("base64url")}.${payload.toString("base64url")}.`,
          // The public key as an HMAC secret: the oldest confusion of algorithms.
          new SignJWT({ ...claims })
            .setProtectedHeader({ alg: "HS256", kid: id, typ: "certificate+jwt" })
            .sign(Buffer.from(keys.jwks.keys[0]?.x ?? "", "base64url"))
        ])
      )
      for (const signature of [plainType, moreClaims, unsigned, symmetric, "", "..", "a".repeat(10_000)]) {
        const outcome = yield* Effect.either(verifyRow(keys, { ...row, signature }))
        expect([signature.slice(0, 40), Either.isLeft(outcome)]).toEqual([signature.slice(0, 40), true])
      }
    })
  )
})
