import { generateKeyPairSync, type KeyObject, sign } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { exportSPKI, generateKeyPair, SignJWT } from "jose"
import { eventually } from "../../support/Eventually.ts"
import { issuerKey, jwksServer } from "../../support/Jwks.ts"
import { tokensOf } from "../../support/TokensOf.ts"

const secret = "a secret of more than thirty-two bytes"
const now = Math.floor(Date.now() / 1000)
const claims = { sub: "Scout", iat: now, exp: now + 600 }

/** Asks again until it is so, for what happens in the background. */
const becomes = (ask: Effect.Effect<string>, expected: string | RegExp) =>
  eventually(ask, (answer) => (typeof expected === "string" ? answer === expected : expected.test(answer)), {
    within: "5 seconds"
  })

describe("tokens of an issuer whose keys are at JWKS_URL", () => {
  it.scopedLive("are verified by its public keys, in each algorithm that is allowed", () =>
    Effect.gen(function* () {
      const server = yield* jwksServer
      const keys = yield* Effect.all(["RS256", "ES256", "EdDSA"].map((alg) => issuerKey(`key-${alg}`, alg)))
      server.publish(keys.map((key) => key.public))
      const verify = yield* tokensOf({ JWKS_URL: server.url })
      for (const key of keys) expect(yield* verify(yield* key.sign(claims))).toBe("Scout")
      const psKey = yield* issuerKey("key-PS256", "PS256")
      expect(yield* verify(yield* psKey.sign(claims))).toContain("algorithm is not one of RS256, ES256, EdDSA, Ed25519")
      expect(server.fetches()).toBe(1)
    })
  )

  it.scopedLive("follow the issuer's keys while running: a new one at once, one that is gone no longer", () =>
    Effect.gen(function* () {
      const server = yield* jwksServer
      const [first, second] = yield* Effect.all([issuerKey("first"), issuerKey("second")])
      server.publish([first.public])
      const verify = yield* tokensOf({
        JWKS_URL: server.url,
        JWKS_COOL_DOWN: "100ms",
        JWKS_REFRESH_INTERVAL: "1s"
      })
      const [old, fresh] = [yield* first.sign(claims), yield* second.sign(claims)]
      expect(yield* verify(old)).toBe("Scout")
      expect(yield* verify(old)).toBe("Scout")
      yield* Effect.sleep("150 millis")
      server.publish([first.public, second.public])
      expect(yield* verify(fresh)).toBe("Scout")
      expect(yield* verify(old)).toBe("Scout")
      server.publish([second.public])
      // It had been verified before, and would be good for ten minutes more.
      yield* becomes(verify(old), /Unauthenticated: the issuer has no such key as the token's/)
      expect(yield* verify(fresh)).toBe("Scout")
    })
  )

  it.scopedLive("are verified by each key of their kid, where the issuer lists one twice or two under one", () =>
    Effect.gen(function* () {
      const server = yield* jwksServer
      const [one, other] = yield* Effect.all([issuerKey("same"), issuerKey("same")])
      server.publish([one.public, one.public, other.public])
      const verify = yield* tokensOf({ JWKS_URL: server.url })
      for (const key of [one, other]) expect(yield* verify(yield* key.sign(claims))).toBe("Scout")
      const stranger = yield* issuerKey("same")
      expect(yield* verify(yield* stranger.sign(claims))).toContain("signature is wrong")
      expect(yield* verify(yield* one.sign(claims, { kid: undefined }))).toContain("it must name one (kid)")
    })
  )

  it.scopedLive("are verified where the set lists null, a text and a list beside the key", () =>
    Effect.gen(function* () {
      const server = yield* jwksServer
      const key = yield* issuerKey("key")
      server.publish(JSON.stringify({ keys: [null, "key", [], 7, key.public] }))
      const verify = yield* tokensOf({ JWKS_URL: server.url })
      expect(yield* verify(yield* key.sign(claims))).toBe("Scout")
    })
  )

  it.scopedLive("follow a new key under the same kid at once, with one fetch for all that nothing verifies", () =>
    Effect.gen(function* () {
      const server = yield* jwksServer
      const [before, after, stranger] = yield* Effect.all([issuerKey("same"), issuerKey("same"), issuerKey("same")])
      server.publish([before.public])
      const verify = yield* tokensOf({ JWKS_URL: server.url, JWKS_COOL_DOWN: "100ms" })
      expect(yield* verify(yield* before.sign(claims))).toBe("Scout")
      server.publish([after.public])
      yield* becomes(Effect.flatMap(after.sign(claims), verify), "Scout")
      expect(yield* verify(yield* before.sign(claims))).toContain("signature is wrong")
      const patient = yield* tokensOf({ JWKS_URL: server.url, JWKS_COOL_DOWN: "1h" })
      const fetched = server.fetches()
      for (let time = 0; time < 20; time++) yield* patient(yield* stranger.sign(claims))
      expect(server.fetches()).toBeLessThanOrEqual(fetched + 1)
    })
  )

  it.scopedLive("are refused with the true reason where their key is published and must not be used", () =>
    Effect.gen(function* () {
      const server = yield* jwksServer
      const short = generateKeyPairSync("rsa", { modulusLength: 1024 })
      const given = generateKeyPairSync("ec", { namedCurve: "P-256" })
      server.publish([
        { ...short.publicKey.export({ format: "jwk" }), kid: "short", alg: "RS256" },
        { ...given.privateKey.export({ format: "jwk" }), kid: "given", alg: "ES256" }
      ])
      const verify = yield* tokensOf({ JWKS_URL: server.url })
      const signed = (kid: string, alg: string, key: KeyObject) => {
        const text = [{ alg, kid }, claims]
          .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
          .join(".")
        return `${text}.${sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`
      }
      const reason = "Unauthenticated: the issuer's key that the token names cannot be used: it is"
      expect(yield* verify(signed("short", "RS256", short.privateKey))).toBe(
        `${reason} an RSA key of 1024 bits, and 2048 are the least`
      )
      expect(yield* verify(signed("given", "ES256", given.privateKey))).toBe(
        `${reason} published with its private part, so anyone can sign with it`
      )
    })
  )

  it.scopedLive("with an unknown key do not make it ask the issuer each time", () =>
    Effect.gen(function* () {
      const server = yield* jwksServer
      const [known, unknown] = yield* Effect.all([issuerKey("known"), issuerKey("unknown")])
      server.publish([known.public])
      const verify = yield* tokensOf({ JWKS_URL: server.url, JWKS_COOL_DOWN: "1h" })
      expect(yield* verify(yield* known.sign(claims))).toBe("Scout")
      for (let time = 0; time < 20; time++) {
        expect(yield* verify(yield* unknown.sign(claims, { kid: `made-up-${time}` }))).toContain(
          "the issuer has no such key"
        )
      }
      expect(server.fetches()).toBe(1)
    })
  )

  it.scopedLive("cannot be checked while the keys were never fetched, and can by themselves once they are", () =>
    Effect.gen(function* () {
      const server = yield* jwksServer
      const key = yield* issuerKey("key")
      server.fail(500)
      const verify = yield* tokensOf({ JWKS_URL: server.url, JWT_SECRET_KEY: secret })
      const token = yield* key.sign(claims)
      expect(yield* verify(token)).toBe("KeysUnavailable: status 500")
      const own = yield* Effect.promise(() =>
        new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(secret))
      )
      expect(yield* verify(own)).toBe("Scout")
      server.publish([key.public])
      yield* becomes(verify(token), "Scout")
    })
  )

  it.scopedLive("go on being believed while the issuer is away, but not for ever", () =>
    Effect.gen(function* () {
      const server = yield* jwksServer
      const key = yield* issuerKey("key")
      server.publish([key.public])
      const verify = yield* tokensOf({ JWKS_URL: server.url, JWKS_MAX_AGE: "2s", JWKS_REFRESH_INTERVAL: "1s" })
      const token = yield* key.sign(claims)
      expect(yield* verify(token)).toBe("Scout")
      server.fail(503)
      yield* Effect.sleep("1200 millis")
      expect(yield* verify(token)).toBe("Scout")
      yield* becomes(verify(token), "KeysUnavailable: status 503")
    })
  )

  it.scopedLive("are not replaced by an answer that is not a key set", () =>
    Effect.gen(function* () {
      const server = yield* jwksServer
      const token = yield* (yield* issuerKey("key")).sign(claims)
      for (const [answer, reason] of [
        ["<html>", "the answer is not JSON"],
        ['{"keys": 7}', "the answer is not a JSON Web Key Set"],
        [`{"keys": [], "x": "${"x".repeat(600_000)}"}`, "they are larger than 524288 bytes"]
      ] as const) {
        server.publish(answer)
        const verify = yield* tokensOf({ JWKS_URL: server.url })
        expect(yield* verify(token)).toBe(`KeysUnavailable: ${reason}`)
      }
    })
  )

  it.scopedLive("cannot be forged by taking the issuer's public key for the shared secret", () =>
    Effect.gen(function* () {
      const server = yield* jwksServer
      const { privateKey, publicKey } = yield* Effect.promise(() => generateKeyPair("RS256", { extractable: true }))
      const pem = yield* Effect.promise(() => exportSPKI(publicKey))
      const key = yield* issuerKey("key", "RS256")
      server.publish([key.public])
      const confused = yield* Effect.promise(() =>
        new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid: "key" }).sign(new TextEncoder().encode(pem))
      )
      const alone = yield* tokensOf({ JWKS_URL: server.url })
      expect(yield* alone(confused)).toContain("algorithm is not one of")
      const beside = yield* tokensOf({ JWKS_URL: server.url, JWT_SECRET_KEY: secret })
      expect(yield* beside(confused)).toBe("Unauthenticated: the token's signature is wrong")
      const foreign = yield* Effect.promise(() =>
        new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: "key" }).sign(privateKey)
      )
      expect(yield* beside(foreign)).toBe("Unauthenticated: the token's signature is wrong")
      const withOwnKey = yield* key.sign(claims, { kid: "other", jwk: key.public, jku: server.url })
      expect(yield* beside(withOwnKey)).toContain("the issuer has no such key")
      // A secret among the published keys would not be secret.
      server.publish([{ kty: "oct", k: Buffer.from(secret).toString("base64url"), kid: "key", alg: "HS256" }])
      const third = yield* tokensOf({ JWKS_URL: server.url, JWT_SECRET_KEY: `${secret}, another` })
      const bySecret = yield* Effect.promise(() =>
        new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid: "key" }).sign(new TextEncoder().encode(secret))
      )
      expect(yield* third(bySecret)).toBe("Unauthenticated: the token's signature is wrong")
    })
  )

  it.scopedLive("expire when they say, and no later than the tolerance allows", () =>
    Effect.gen(function* () {
      const server = yield* jwksServer
      const key = yield* issuerKey("key")
      server.publish([key.public])
      const [strict, tolerant] = yield* Effect.all([
        tokensOf({ JWKS_URL: server.url }),
        tokensOf({ JWKS_URL: server.url, JWT_CLOCK_TOLERANCE: "30s" })
      ])
      // Read here: on a busy machine the tests before this one take as long as the tolerance.
      const now = Math.floor(Date.now() / 1000)
      const late = yield* key.sign({ sub: "Scout", exp: now - 5 })
      expect(yield* strict(late)).toBe("Unauthenticated: the token has expired")
      expect(yield* tolerant(late)).toBe("Scout")
      expect(yield* tolerant(yield* key.sign({ sub: "Scout", exp: now - 60 }))).toContain("expired")
      const early = yield* key.sign({ ...claims, nbf: now + 20 })
      expect(yield* strict(early)).toContain('"nbf"')
      expect(yield* tolerant(early)).toBe("Scout")
      // Remembered, and refused all the same once its time is over.
      const short = yield* key.sign({ sub: "Scout", exp: Math.floor(Date.now() / 1000) + 2 })
      expect(yield* strict(short)).toBe("Scout")
      yield* becomes(strict(short), "Unauthenticated: the token has expired")
    })
  )
})

describe("tokens of a secret that was rotated", () => {
  const signed = (by: string) =>
    Effect.promise(() => new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(by)))

  it.scopedLive("stay good for as long as the secret before is told, and no longer", () =>
    Effect.gen(function* () {
      const [before, older] = ["the secret before: more than 32 bytes", "an older secret of more than 32 bytes"]
      const rotated = yield* tokensOf({ JWT_SECRET_KEY: secret, JWT_PREVIOUS_SECRET_KEYS: `${before}, ${older}` })
      for (const one of [secret, before, older]) expect(yield* rotated(yield* signed(one))).toBe("Scout")
      expect(yield* rotated(yield* signed("an unknown secret of more than 32 bytes"))).toContain("signature is wrong")
      const done = yield* tokensOf({ JWT_SECRET_KEY: secret })
      expect(yield* done(yield* signed(before))).toContain("signature is wrong")
    })
  )

  it.scopedLive("must not name the anonymous ghost, or a ghost whose name the trail would cut", () =>
    Effect.gen(function* () {
      const verify = yield* tokensOf({ JWT_SECRET_KEY: secret })
      const named = (sub: string) =>
        Effect.promise(() =>
          new SignJWT({ ...claims, sub }).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(secret))
        )
      expect(yield* verify(yield* named("anonymous"))).toContain("which no token may name")
      expect(yield* verify(yield* named("x".repeat(101)))).toContain("has 101 characters")
      expect(yield* verify(yield* named("a\u0000b"))).toContain("control characters")
      expect(yield* verify(yield* named("x".repeat(100)))).toBe("x".repeat(100))
    })
  )
})
