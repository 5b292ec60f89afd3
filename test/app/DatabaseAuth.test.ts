import { generateKeyPairSync } from "node:crypto"
import { chmodSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { patient } from "../support/EmbeddedProcess.ts"
import { request, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { program } from "../support/Program.ts"
import { changed } from "../support/platform/DatabaseServers.ts"
import { rowsOf } from "../support/Rows.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { testPostgres } from "../support/TestPostgres.ts"
import { insecureUnderTest } from "../support/Tokens.ts"

/** The connection string of a role on a server that asks it for an MD5 hash, as old passwords make PostgreSQL do. */
const md5Database = Effect.gen(function* () {
  const file = join(yield* temporaryHome, "pg_hba.conf")
  writeFileSync(file, "local all all md5\n")
  chmodSync(file, 0o644)
  const server = yield* testPostgres({ settings: { hba_file: file, password_encryption: "md5" } })
  const session = yield* connect({ url: server.url, applicationName: "test" })
  yield* session.query("create role app login password 'an old password'")
  yield* session.query("create database served owner app")
  const observed = changed(server.url, (url) => {
    url.pathname = "/served"
  })
  const served = changed(observed, (url) => {
    url.username = "app"
    url.password = "an old password"
    url.search = ""
  })
  return { url: served, observed }
})

const production = (url: Redacted.Redacted) => ({
  NODE_ENV: "production",
  ALLOW_INSECURE: insecureUnderTest,
  DATABASE_URL: Redacted.value(url),
  DATABASE_CONNECT_DEADLINE: "60s",
  JWT_SECRET_KEY: signingSecret,
  GUARDIAN_SIGNING_KEY: generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" }).toString()
})

describe("in production a server that asks for MD5", patient, () => {
  it.scopedLive("is refused at once with the setting that accepts it, and then serves pool, migrator and writer", () =>
    Effect.gen(function* () {
      const { observed, url } = yield* md5Database
      const refused = yield* program({ environment: production(url) })
      expect(yield* refused.ended("60 seconds")).toMatchObject({ code: 9 })
      expect(refused.output()).toContain("DATABASE_AUTH=scram,md5")
      expect(refused.output()).toContain("(1 attempt")
      const accepted = yield* program({ environment: { ...production(url), DATABASE_AUTH: "scram,md5" } })
      const gatekeeper = yield* accepted.url("gatekeeper")
      const answer = yield* request(`${gatekeeper}/validate`, {
        token: yield* Effect.promise(() => tokenOf("Librarian")),
        body: { action: "read", resource: "vaults/public" }
      })
      expect(answer.status).toBe(200)
      const written = rowsOf(observed, "select from gatekeeper.audit_log where resource = 'vaults/public'")
      yield* Effect.repeat(written, {
        until: ({ length }) => length === 1,
        schedule: Schedule.spaced("50 millis")
      }).pipe(Effect.timeout("30 seconds"))
    })
  )
})
