import { chmodSync, chownSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { CompactSign, SignJWT, UnsecuredJWT } from "jose"
import * as AllSettings from "../../../src/app/AllSettings.ts"
import { signingSecret } from "../../../src/gatekeeper/tokens/SigningSecret.ts"
import { Tokens } from "../../../src/gatekeeper/tokens/Tokens.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"

const secret = "a secret of more than thirty-two bytes"

const settingsOf = (variables: Record<string, string>) =>
  AllSettings.layer.pipe(
    Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables)))))
  )

const tokens = (variables: Record<string, string> = {}) =>
  Tokens.layer.pipe(
    Layer.provide(settingsOf({ JWT_SECRET_KEY: secret, ...variables })),
    Layer.provide(NodeContext.layer)
  )

const key = new TextEncoder().encode(secret)
const now = Math.floor(Date.now() / 1000)
const sign = (claims: Record<string, unknown>, algorithm = "HS256", signingKey = key) =>
  Effect.promise(() => new SignJWT({ iat: now, ...claims }).setProtectedHeader({ alg: algorithm }).sign(signingKey))

const verify = (authorization: string | undefined) =>
  Effect.flatMap(Tokens, (service) => Effect.either(service.verify(authorization))).pipe(
    Effect.map((result) => {
      if (result._tag === "Right") return result.right.ghostId
      return `${result.left._tag === "Unauthenticated" ? result.left.problem : "unavailable"}: ${result.left.reason}`
    })
  )

describe("Tokens", () => {
  it.live("verifies what it issues, in whatever case the scheme is written", () =>
    Effect.gen(function* () {
      const issued = yield* (yield* Tokens).issue("Scout", { groups: ["admin"], timeToLive: Duration.hours(1) })
      const token = Redacted.value(issued.token)
      for (const scheme of ["Bearer", "bearer", "BEARER"]) expect(yield* verify(`${scheme} ${token}`)).toBe("Scout")
    }).pipe(Effect.provide(tokens()))
  )

  it.live("knows a token once it was verified, for what it may be used for", () =>
    Effect.gen(function* () {
      const { known, verify } = yield* Tokens
      const good = `Bearer ${yield* sign({ sub: "Scout", exp: now + 60 })}`
      expect(known(good)).toBeUndefined()
      const verified = yield* verify(good)
      expect(known(good)).toBe(verified)
      expect(known(good, "decision")).toBe(verified)
      for (const other of [undefined, "", "Bearer garbage", `${good}x`]) expect(known(other)).toBeUndefined()
    }).pipe(Effect.provide(tokens()))
  )

  it.live("refuses a header without a bearer token, with a reason that holds no part of it", () =>
    Effect.gen(function* () {
      const good = yield* sign({ sub: "Scout", exp: now + 60 })
      expect(yield* verify(undefined)).toBe("missing: Missing Authorization header")
      expect(yield* verify(" ")).toContain("missing")
      expect(yield* verify(good)).toContain("scheme")
      expect(yield* verify(`Basic ${good}`)).toContain("scheme")
      expect(yield* verify(`Bearer Bearer ${good}`)).toContain("scheme")
      expect(yield* verify("Bearer garbage")).toBe("invalid: the token is malformed")
      expect(yield* verify(`Bearer ${good.slice(0, -2)}xx`)).toContain("signature")
      expect(yield* verify(`Bearer ${yield* sign({ sub: "Scout", exp: now - 1 })}`)).toContain("expired")
      expect(yield* verify(`Bearer ${yield* sign({ sub: "Scout" })}`)).toContain('"exp"')
      expect(yield* verify(`Bearer ${yield* sign({ exp: now + 60 })}`)).toContain('"sub"')
      expect(yield* verify(`Bearer ${yield* sign({ sub: "", exp: now + 60 })}`)).toContain("no subject")
      expect(yield* verify(`Bearer ${yield* sign({ sub: "Scout", exp: now + 60, nbf: now + 50 })}`)).toContain('"nbf"')
      expect(yield* verify(`Bearer ${yield* sign({ sub: "Scout", exp: now + 60 }, "HS512")}`)).toContain("algorithm")
      const unsigned = new UnsecuredJWT({ sub: "Scout", exp: now + 60 }).encode()
      expect(yield* verify(`Bearer ${unsigned}`)).toMatch(/^(scheme|invalid): /)
    }).pipe(Effect.provide(tokens()))
  )

  it.live("refuses another kind of JWT: a certificate names its agent and expires too, and is not secret", () =>
    Effect.gen(function* () {
      const typed = (typ: string) =>
        Effect.promise(() =>
          new SignJWT({ sub: "Scout", iat: now, exp: now + 60 }).setProtectedHeader({ alg: "HS256", typ }).sign(key)
        )
      for (const typ of ["JWT", "jwt", "at+jwt", "application/at+jwt"]) {
        expect(yield* verify(`Bearer ${yield* typed(typ)}`)).toBe("Scout")
      }
      for (const typ of ["certificate+jwt", "dpop+jwt", "logout+jwt", ""]) {
        expect(yield* verify(`Bearer ${yield* typed(typ)}`)).toBe("invalid: the token is another kind of JWT (typ)")
      }
    }).pipe(Effect.provide(tokens()))
  )

  /** As raw text: JSON has numbers that JavaScript does not write. */
  const signText = (claims: string) =>
    Effect.promise(() =>
      new CompactSign(new TextEncoder().encode(claims)).setProtectedHeader({ alg: "HS256" }).sign(key)
    )

  const lifetime = 24 * 3_600
  const times: ReadonlyArray<readonly [what: string, claims: string, expected: string]> = [
    ["the longest life", `"iat": ${now - 5}, "exp": ${now - 5 + lifetime}`, "Scout"],
    ["a second more", `"iat": ${now - 5}, "exp": ${now - 4 + lifetime}`, "JWT_MAX_LIFETIME (1d)"],
    ["a hundred years", `"iat": ${now - 5}, "exp": ${now + 100 * 365 * lifetime}`, "JWT_MAX_LIFETIME"],
    ["an end beyond every date", `"iat": ${now - 5}, "exp": 1e308`, "JWT_MAX_LIFETIME"],
    ["an infinite end", `"iat": ${now - 5}, "exp": 1e400`, '"exp" is not acceptable'],
    ["no iat", `"exp": ${now + 60}`, '"iat" is not acceptable'],
    ["an iat that is a text", `"iat": "${now}", "exp": ${now + 60}`, '"iat" is not acceptable'],
    ["an infinite iat", `"iat": -1e400, "exp": ${now + 60}`, '"iat" is not acceptable'],
    ["an iat in ten years", `"iat": ${now + 3_650 * 86_400}, "exp": ${now + 3_650 * 86_400 + 60}`, "in the future"],
    ["an iat of long ago", `"iat": 0, "exp": ${now + 60}`, "JWT_MAX_LIFETIME"]
  ]
  for (const environment of ["production", "development"]) {
    it.live.each(times)(`compares the times of a token, in ${environment}: %s`, ([, claims, expected]) =>
      Effect.gen(function* () {
        const token = yield* signText(`{"sub": "Scout", ${claims}}`)
        const answer = yield* verify(`Bearer ${token}`)
        // Outside production the verification only marks it: services may use it until the next minor version.
        const isMarked = environment === "development" && expected.startsWith("JWT_MAX_LIFETIME")
        expect(answer).toContain(isMarked ? "Scout" : expected)
      }).pipe(Effect.provide(tokens({ NODE_ENV: environment })))
    )
  }

  it.live("accepts another longest life where the setting says so, and issues none that is longer", () =>
    Effect.gen(function* () {
      expect(yield* verify(`Bearer ${yield* sign({ sub: "Scout", exp: now + 3_600 })}`)).toBe("Scout")
      const issue = (yield* Tokens).issue("Scout", { groups: [], timeToLive: Duration.hours(2) })
      expect(yield* Effect.flip(issue)).toMatchObject({ _tag: "LifetimeTooLong" })
    }).pipe(Effect.provide(tokens({ NODE_ENV: "production", JWT_MAX_LIFETIME: "1h" })))
  )

  it.live("accepts one spelling of a token", () =>
    Effect.gen(function* () {
      const good = yield* sign({ sub: "Scout", exp: now + 60 })
      const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
      const last = alphabet.indexOf(good.at(-1) ?? "")
      const spellings = [1, 2, 3].map((bits) => good.slice(0, -1) + alphabet.charAt(last + bits))
      for (const other of [...spellings, `${good}=`]) {
        expect(yield* verify(`Bearer ${other}`)).toMatch(/signature is not spelt|malformed/)
      }
      expect(yield* verify(`Bearer ${good}`)).toBe("Scout")
    }).pipe(Effect.provide(tokens()))
  )

  it.live("issues no token that it would refuse", () =>
    Effect.gen(function* () {
      const { issue } = yield* Tokens
      for (const ghost of ["anonymous", "a\u200bb", " a", "x".repeat(101), "", "service:guardian"]) {
        const refused = issue(ghost, { groups: [], timeToLive: Duration.hours(1) })
        expect(yield* Effect.flip(refused)).toMatchObject({ _tag: "SubjectRefused" })
      }
    }).pipe(Effect.provide(tokens({ NODE_ENV: "production" })))
  )

  it.live("asks for issuer and audience where they are set", () =>
    Effect.gen(function* () {
      const claims = { sub: "Scout", exp: now + 60, iss: "https://issuer.example", aud: "gravitas" }
      expect(yield* verify(`Bearer ${yield* sign(claims)}`)).toBe("Scout")
      expect(yield* verify(`Bearer ${yield* sign({ ...claims, iss: "https://other.example" })}`)).toContain('"iss"')
      expect(yield* verify(`Bearer ${yield* sign({ ...claims, aud: "another" })}`)).toContain('"aud"')
      expect(yield* verify(`Bearer ${yield* sign({ sub: "Scout", exp: now + 60 })}`)).toContain('"iss"')
      const own = yield* (yield* Tokens).issue("Scout", { groups: [], timeToLive: Duration.hours(1) })
      expect(yield* verify(`Bearer ${Redacted.value(own.token)}`)).toBe("Scout")
    }).pipe(Effect.provide(tokens({ JWT_ISSUER: "https://issuer.example", JWT_AUDIENCE: "gravitas" })))
  )
})

describe("signingSecret", () => {
  const secretIn = (home: string, variables: Record<string, string> = {}) =>
    signingSecret.pipe(Effect.provide([settingsOf({ GRAVITAS_HOME: home, ...variables }), NodeContext.layer]))

  it.scopedLive("is made once under the home, for its owner's eyes, by however many that start at once", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const made = yield* Effect.all(
        Array.from({ length: 8 }, () => secretIn(home)),
        { concurrency: "unbounded" }
      )
      expect(new Set(made.map(Redacted.value)).size).toBe(1)
      expect(statSync(join(home, "jwt-secret")).mode & 0o777).toBe(0o600)
      expect(Redacted.value(yield* secretIn(home))).toBe(made[0] && Redacted.value(made[0]))
    })
  )

  it.scopedLive("is never made up in production", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const refused = yield* Effect.flip(secretIn(home, { NODE_ENV: "production" }))
      expect(refused.message).toContain("JWT_SECRET_KEY")
    })
  )

  it.scopedLive("is refused when its file was cut short, with the way out", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      writeFileSync(join(home, "jwt-secret"), "short", { mode: 0o600 })
      const refused = yield* Effect.flip(secretIn(home))
      expect(refused.message).toContain(join(home, "jwt-secret"))
      expect(refused.message).toContain("shorter than")
      expect(refused.message).toContain("Remove the file")
    })
  )

  it.scopedLive("of another user's home, of a file that others may read, and through a link is not believed", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const file = join(home, "jwt-secret")
      const refusal = Effect.map(Effect.flip(secretIn(home)), ({ message }) => message)
      writeFileSync(file, "of-another-user-".repeat(4), { mode: 0o644 })
      expect(yield* refusal).toContain(`chmod 600 ${file}`)
      rmSync(file)
      symlinkSync("/etc/passwd", file)
      expect(yield* refusal).toContain("is a symbolic link")
      rmSync(file)
      chmodSync(home, 0o777)
      writeFileSync(file, "of-another-user-".repeat(4), { mode: 0o600 })
      expect(yield* refusal).toContain(`chmod 700 ${home}`)
      if (process.getuid?.() !== 0) return
      chmodSync(home, 0o711)
      chownSync(home, 65_534, 65_534)
      chownSync(file, 65_534, 65_534)
      expect(yield* refusal).toContain(`chown 0 ${home}`)
      chownSync(home, 0, 0)
      expect(yield* refusal).toContain(`chown 0 ${file}`)
    })
  )
})
