import { describe, expect, it } from "@effect/vitest"
import { errors } from "jose"
import { keyProblem, parseKeySet } from "../../../src/gatekeeper/tokens/KeySet.ts"

/** A modulus of so many bits, with zero bytes before it. */
const modulus = (bits: number, zeros: number): string => {
  const bytes = Buffer.alloc(Math.ceil(bits / 8) + zeros)
  bytes[zeros] = 1 << ((bits - 1) % 8)
  return bytes.toString("base64url")
}

describe("A key of an issuer", () => {
  for (const [key, problem] of [
    [{ kty: "RSA", n: modulus(2048, 0) }, undefined],
    [{ kty: "RSA", n: modulus(2048, 3) }, undefined],
    [{ kty: "RSA", n: modulus(2047, 0) }, "an RSA key of 2047 bits"],
    [{ kty: "RSA", n: modulus(1024, 200) }, "an RSA key of 1024 bits"],
    [{ kty: "RSA", n: "" }, "an RSA key of 0 bits"],
    [{ kty: "EC", d: "x" }, "private part"],
    [{ kty: "oct", k: "x" }, "a shared secret"],
    [{ kty: "EC" }, undefined]
  ] as const) {
    it(`${JSON.stringify(key).slice(0, 40)} ${problem === undefined ? "may verify tokens" : `must not: ${problem}`}`, () => {
      if (problem === undefined) expect(keyProblem(key)).toBeUndefined()
      else expect(keyProblem(key)).toContain(problem)
    })
  }
})

describe("A key set", () => {
  it("verifies by an Ed25519 key under both names of its algorithm (RFC 9864)", async () => {
    const x = Buffer.alloc(32, 1).toString("base64url")
    for (const published of ["EdDSA", "Ed25519"]) {
      const { find } = parseKeySet(
        JSON.stringify({ keys: [{ kty: "OKP", crv: "Ed25519", x, alg: published, kid: "a" }] })
      )
      for (const alg of ["EdDSA", "Ed25519"]) expect(await find({ alg, kid: "a" })).toHaveLength(1)
    }
  })

  it("has the key of a token whose kid is empty, as of one without a kid", async () => {
    const x = Buffer.alloc(32, 1).toString("base64url")
    const { find } = parseKeySet(JSON.stringify({ keys: [{ kty: "OKP", crv: "Ed25519", x, kid: "a" }] }))
    for (const header of [{ alg: "EdDSA", kid: "" }, { alg: "EdDSA" }]) expect(await find(header)).toHaveLength(1)
    await expect(find({ alg: "EdDSA", kid: "b" })).rejects.toThrow(errors.JWKSNoMatchingKey)
  })

  it("is refused where it is not a set", () => {
    for (const text of ["7", "null", "[]", "{}", '{"keys":{}}']) {
      expect(() => parseKeySet(text)).toThrow(errors.JWKSInvalid)
    }
  })
})
