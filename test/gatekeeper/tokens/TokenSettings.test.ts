import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { load as loadAll } from "../../support/platform/SettingsLoading.ts"

const secret = "a secret of more than thirty-two bytes"
const url = "https://issuer.example/jwks.json"

const load = (variables: Readonly<Record<string, string>>) =>
  loadAll(variables).pipe(Effect.either, Effect.map(Either.mapLeft(({ message }) => message)))

describe("the settings of tokens", () => {
  it.effect.each([
    [{}, ["HS256"]],
    [{ JWKS_URL: url }, ["RS256", "ES256", "EdDSA", "Ed25519"]],
    [{ JWKS_URL: url, JWT_SECRET_KEY: secret }, ["HS256", "RS256", "ES256", "EdDSA", "Ed25519"]],
    [{ JWKS_URL: url, JWT_ALGORITHMS: "ES384, HS256" }, ["ES384", "HS256"]]
  ] as const)("with %o allow %o", ([variables, algorithms]) =>
    Effect.gen(function* () {
      const { tokens } = Either.getOrThrow(yield* load(variables))
      expect(tokens.algorithms).toEqual(algorithms)
    })
  )

  it.effect.each([
    [{ JWT_ALGORITHMS: "HS256,RS256" }, "JWT_ALGORITHMS: RS256 need the issuer's public keys: set JWKS_URL too"],
    [{ JWT_ALGORITHMS: "HS256", JWKS_URL: url }, "JWT_ALGORITHMS: with JWKS_URL expected one of RS256"],
    [{ JWKS_URL: url, JWT_PREVIOUS_SECRET_KEYS: secret }, "JWT_PREVIOUS_SECRET_KEYS: is of no use"],
    [{ JWT_ALGORITHMS: "none" }, "JWT_ALGORITHMS"],
    [{ JWKS_URL: "http://10.0.0.1/jwks.json" }, "JWKS_URL"],
    [{ JWKS_URL: "http://127.0.0.1.example.com/jwks.json" }, "JWKS_URL"],
    [{ JWKS_URL: "https://user:hunter2@issuer.example/jwks.json" }, "JWKS_URL"],
    [{ JWT_PREVIOUS_SECRET_KEYS: `${secret},hunter2` }, "JWT_PREVIOUS_SECRET_KEYS"]
  ] as const)("refuse %o", ([variables, problem]) =>
    Effect.gen(function* () {
      const refused = yield* load(variables)
      expect(Either.isLeft(refused) && refused.left).toContain(problem)
      expect(Either.isLeft(refused) && refused.left).not.toContain("hunter2")
    })
  )
})

describe("an issuer's tokens in production", () => {
  const production = { NODE_ENV: "production", JWKS_URL: url }

  it.effect.each([
    [production, "JWT_ISSUER is needed with JWKS_URL"],
    [{ ...production, JWT_ISSUER: "https://issuer.example" }, "JWT_AUDIENCE is needed with JWKS_URL"],
    [{ ...production, JWT_AUDIENCE: "gravitas" }, "JWT_ISSUER is needed with JWKS_URL"]
  ] as const)("are not believed whomever they are for: %o is refused", ([variables, problem]) =>
    Effect.gen(function* () {
      expect(yield* load(variables)).toEqual(Either.left(expect.stringContaining(problem.replace(" ", ": "))))
    })
  )

  it.effect("are believed where both are told; elsewhere neither is asked for", () =>
    Effect.gen(function* () {
      const both = { ...production, JWT_ISSUER: "https://issuer.example", JWT_AUDIENCE: "gravitas" }
      for (const variables of [both, { JWKS_URL: url }, { NODE_ENV: "production", JWT_SECRET_KEY: secret }]) {
        expect(Either.isRight(yield* load(variables))).toBe(true)
      }
    })
  )
})

describe("AUTH_DISABLED", () => {
  it.effect.each([
    [{ AUTH_DISABLED: "true" }, true],
    [{ AUTH_DISABLED: "true", HOST: "127.0.0.2", NODE_ENV: "test" }, true],
    [{ AUTH_DISABLED: "true", HOST: "::1" }, true],
    [{ AUTH_DISABLED: "false", HOST: "0.0.0.0", NODE_ENV: "production" }, false]
  ] as const)("may stand with %o", ([variables, expected]) =>
    Effect.gen(function* () {
      expect(Either.getOrThrow(yield* load(variables)).gatekeeper.authDisabled).toBe(expected)
    })
  )

  it.effect.each([
    [{ AUTH_DISABLED: "true", NODE_ENV: "production" }, "NODE_ENV=production"],
    [{ AUTH_DISABLED: "true", HOST: "0.0.0.0" }, "HOST=0.0.0.0"],
    [{ AUTH_DISABLED: "true", HOST: "127.0.0.1.example.com" }, "HOST=127.0.0.1.example.com"],
    [{ AUTH_DISABLED: "true", HOST: "::" }, "HOST=::"]
  ] as const)("is refused with %o", ([variables, problem]) =>
    Effect.gen(function* () {
      const refused = yield* load(variables)
      expect(Either.isLeft(refused) && refused.left).toMatch(/AUTH_DISABLED: must not be true/)
      expect(Either.isLeft(refused) && refused.left).toContain(problem)
    })
  )
})
