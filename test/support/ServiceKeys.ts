import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { calculateJwkThumbprint, type JWTPayload, SignJWT } from "jose"
import { expect } from "vitest"
import { program } from "./Program.ts"
import { temporaryHome } from "./TemporaryHome.ts"

/** An Ed25519 key as a service has it in its home. */
export interface TestKey {
  readonly key: KeyObject
  readonly id: string
  readonly x: string
}

export const newKey = Effect.promise(async (): Promise<TestKey> => {
  const { privateKey } = generateKeyPairSync("ed25519")
  const { x = "" } = createPublicKey(privateKey).export({ format: "jwk" })
  return { key: privateKey, x, id: await calculateJwkThumbprint({ kty: "OKP", crv: "Ed25519", x }) }
})

/** Runs a command of the program beside the database of a gatekeeper, and returns what it printed on stdout. */
export const command = (databaseUrl: Redacted.Redacted, args: ReadonlyArray<string>, home?: string) =>
  Effect.gen(function* () {
    const running = yield* program({
      args,
      environment: { DATABASE_URL: Redacted.value(databaseUrl), GRAVITAS_HOME: home ?? (yield* temporaryHome) }
    })
    expect((yield* running.ended("60 seconds")).code, running.output()).toBe(0)
    return running.stdout().trim()
  })

export const now = () => Math.floor(Date.now() / 1_000)

/** An assertion of a service, as it signs one, but for what `forged` says. */
export const assertionOf = (identity: string, { id, key }: TestKey, forged: JWTPayload = {}) =>
  Effect.promise(() =>
    new SignJWT({
      iss: identity,
      sub: identity,
      aud: "urn:gravitas:gatekeeper",
      iat: now(),
      exp: now() + 30,
      jti: crypto.randomUUID(),
      ...forged
    })
      .setProtectedHeader({ alg: "EdDSA", kid: id })
      .sign(key)
  )

export interface TokenAnswer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
  readonly token: string
}

/** Sends a form to the token endpoint. */
export const requestToken = (gatekeeper: string, form: Readonly<Record<string, string>>) =>
  Effect.promise(async (): Promise<TokenAnswer> => {
    const response = await fetch(`${gatekeeper}/oauth/token`, { method: "POST", body: new URLSearchParams(form) })
    const body = JSON.parse(await response.text())
    return { status: response.status, body, token: String(body["access_token"]) }
  })

export const byAssertion = (gatekeeper: string, assertion: string) =>
  requestToken(gatekeeper, { grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion })

const accessToken = "urn:ietf:params:oauth:token-type:access_token"

export const exchange = (gatekeeper: string, subject: string, actor: string, audience: string) =>
  requestToken(gatekeeper, {
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
    subject_token: subject,
    subject_token_type: accessToken,
    actor_token: actor,
    actor_token_type: accessToken,
    audience
  })
