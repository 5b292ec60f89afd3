import { existsSync } from "node:fs"
import { join } from "node:path"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import { decodeJwt } from "jose"
import * as AllSettings from "../../../src/app/AllSettings.ts"
import { ServiceToken } from "../../../src/gatekeeper/tokens/ServiceToken.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"

const secret = "a secret of more than thirty-two bytes"
const jwks = "https://issuer.example/jwks.json"

const withToken = <A, E>(variables: Readonly<Record<string, string>>, use: Effect.Effect<A, E, ServiceToken>) =>
  use.pipe(
    Effect.provide(
      ServiceToken.layer("service:router").pipe(
        Layer.provide(AllSettings.layer),
        Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))),
        Layer.provide(NodeContext.layer)
      )
    )
  )

const authorization = Effect.flatMap(ServiceToken, (token) => Effect.map(token.authorization, Redacted.value))

describe("ServiceToken", () => {
  it.effect("is the one that is given", () =>
    Effect.gen(function* () {
      expect(yield* withToken({ SERVICE_TOKEN: "given", JWKS_URL: jwks }, authorization)).toBe("Bearer given")
    })
  )

  it.effect("names the service and lives for a quarter of an hour; it is replaced in time, and on request", () =>
    withToken(
      { JWT_SECRET_KEY: secret, JWT_ISSUER: "https://issuer.example", JWT_AUDIENCE: "gravitas" },
      Effect.gen(function* () {
        const token = yield* ServiceToken
        const first = yield* authorization
        expect(decodeJwt(first.slice("Bearer ".length))).toMatchObject({
          sub: "service:router",
          iss: "https://issuer.example",
          aud: "gravitas",
          iat: 0,
          exp: 900
        })
        yield* TestClock.adjust("599 seconds")
        expect(yield* authorization).toBe(first)
        yield* TestClock.adjust("1 second")
        const second = yield* authorization
        expect(second).not.toBe(first)
        yield* TestClock.adjust("1 second")
        yield* token.renew
        expect(yield* authorization).not.toBe(second)
      })
    )
  )

  it.scoped("is not made where no token of a shared secret is believed: each of its requests would be refused", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      for (const variables of [
        { JWKS_URL: jwks },
        { JWKS_URL: jwks, JWT_SECRET_KEY: secret, JWT_ALGORITHMS: "RS256" }
      ]) {
        const refused = yield* Effect.flip(withToken({ ...variables, GRAVITAS_HOME: home }, authorization))
        expect(refused._tag).toBe("ServiceTokenMissing")
        expect(refused.message).toContain("SERVICE_TOKEN")
      }
      expect(existsSync(join(home, "jwt-secret"))).toBe(false)
    })
  )
})
