import { chmodSync, existsSync, renameSync, statSync, symlinkSync, unlinkSync } from "node:fs"
import { join } from "node:path"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
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
      ServiceToken.layer(["router"], Effect.succeed("http://127.0.0.1:1")).pipe(
        Layer.provide([AllSettings.layer, NodeHttpClient.layerUndici]),
        Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))),
        Layer.provide(NodeContext.layer)
      )
    )
  )

const authorization = Effect.flatMap(ServiceToken, (token) => Effect.map(token.authorization, Redacted.value))

describe("ServiceToken", () => {
  it.scoped("is the one that is given, outside production", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const given = { SERVICE_TOKEN: "given", JWKS_URL: jwks, GRAVITAS_HOME: home }
      expect(yield* withToken(given, authorization)).toBe("Bearer given")
    })
  )

  it.scoped("is not looked at in production, so that one that lives too long stops no start", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const claims = Buffer.from(JSON.stringify({ sub: "service:router", iat: 0, exp: 900_000 })).toString("base64url")
      const given = { NODE_ENV: "production", SERVICE_TOKEN: `e30.${claims}.c2ln`, GRAVITAS_HOME: home }
      // The peer that it would ask with its key is away.
      expect(yield* Effect.flip(withToken(given, authorization))).toMatchObject({ _tag: "TokenUnavailable" })
    })
  )

  it.scoped("is not made with AUTH_DISABLED, and the refusal says what to do", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const failure = yield* Effect.flip(withToken({ AUTH_DISABLED: "true", GRAVITAS_HOME: home }, authorization))
      expect(String(failure)).toMatch(
        /AUTH_DISABLED=true works only in the process of the gatekeeper.*router.*Start all/
      )
    })
  )

  it.scoped(
    "of the shared secret names the service and lives for a quarter of an hour; it is replaced in time, and on request",
    () =>
      Effect.flatMap(temporaryHome, (home) =>
        withToken(
          {
            JWT_SECRET_KEY: secret,
            JWT_ISSUER: "https://issuer.example",
            JWT_AUDIENCE: "gravitas",
            GRAVITAS_HOME: home
          },
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
  )

  it.scoped("is asked for by the key in the home, where nothing else is given", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      for (const variables of [
        {},
        { JWKS_URL: jwks },
        { JWKS_URL: jwks, JWT_SECRET_KEY: secret, JWT_ALGORITHMS: "RS256" }
      ]) {
        const refused = yield* Effect.flip(withToken({ ...variables, GRAVITAS_HOME: home }, authorization))
        expect(refused).toMatchObject({
          _tag: "TokenUnavailable",
          message: expect.stringContaining("cannot be reached")
        })
      }
      expect(existsSync(join(home, "jwt-secret"))).toBe(false)
      expect(statSync(join(home, "service-keys", "router.pem")).mode & 0o777).toBe(0o600)
    })
  )

  it.scoped(
    "is not made in production of the secret that signs agents' tokens, and the refusal names the command",
    () =>
      Effect.gen(function* () {
        const home = yield* temporaryHome
        const production = { NODE_ENV: "production", GRAVITAS_HOME: home, JWT_ISSUER: "i", JWT_AUDIENCE: "a" }
        for (const [setting, value] of [
          ["JWT_SECRET_KEY", secret],
          ["JWT_PREVIOUS_SECRET_KEYS", secret]
        ] as const) {
          const refused = yield* Effect.flip(withToken({ ...production, [setting]: value }, authorization))
          expect(refused.message).toMatch(
            new RegExp(`^${setting} must not be set .*gravitas service enroll router [\\w-]{43}$`)
          )
        }
      })
  )

  it.scoped("is not made by a key that others can read, replace or link to", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const file = join(home, "service-keys", "router.pem")
      yield* Effect.flip(withToken({ GRAVITAS_HOME: home }, authorization))
      const refused = () =>
        Effect.map(Effect.flip(withToken({ GRAVITAS_HOME: home }, authorization)), ({ message }) => message)
      chmodSync(file, 0o644)
      expect(yield* refused()).toContain("is open to other users (mode 0644), who must not read it")
      chmodSync(file, 0o600)
      chmodSync(join(home, "service-keys"), 0o777)
      expect(yield* refused()).toContain("is open to other users (mode 0777), who must not write to it")
      chmodSync(join(home, "service-keys"), 0o700)
      renameSync(file, join(home, "planted.pem"))
      symlinkSync(join(home, "planted.pem"), file)
      expect(yield* refused()).toContain("is a symbolic link")
      unlinkSync(file)
      symlinkSync(join(home, "nowhere.pem"), file)
      expect(yield* refused()).toContain("is a symbolic link")
      expect(existsSync(join(home, "nowhere.pem"))).toBe(false)
    })
  )
})
