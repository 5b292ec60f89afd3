import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { Target } from "../../src/migrator/plan/Target.ts"
import { bring, gatekeeperUpTo } from "../support/GatekeeperSchema.ts"
import { request, rowsOf } from "../support/Gravitas.ts"
import { program } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { freshDatabase } from "../support/TestDatabase.ts"
import { tokenOf } from "../support/Tokens.ts"

const Row = Schema.Record({ key: Schema.String, value: Schema.Unknown })

/**
 * A home of version 0.1.0 (commit 08767bd), whose process was killed while the table was locked: three of its events were
 * in the table, five in the journal. Each file is in base64.
 */
const old = Schema.decodeUnknownSync(
  Schema.parseJson(
    Schema.Struct({
      trail: Row,
      source: Row,
      rows: Schema.Array(Row),
      files: Schema.Record({ key: Schema.String, value: Schema.String })
    })
  )
)(readFileSync(join(import.meta.dirname, "fixtures/home-08767bd.json"), "utf8"))

const makeHome = Effect.map(temporaryHome, (home) => {
  for (const [path, content] of Object.entries(old.files)) {
    mkdirSync(dirname(join(home, path)), { recursive: true, mode: 0o700 })
    writeFileSync(join(home, path), Buffer.from(content, "base64"), { mode: 0o600 })
  }
  return home
})

/** The database of that time, at the revisions of that time. */
const makeDatabase = Effect.gen(function* () {
  const url = yield* freshDatabase
  yield* gatekeeperUpTo(url, 5)
  yield* bring("guardian", url, Target.UpTo({ number: 4, slug: null }))
  yield* bring("router", url, Target.UpTo({ number: 4, slug: null }))
  const insert = (table: string, row: typeof Row.Type) =>
    rowsOf(url, `insert into ${table} select * from jsonb_populate_record(null::${table}, $1::jsonb)`, [
      JSON.stringify(row)
    ])
  // The name that the database of a test was given at its first revision.
  yield* rowsOf(url, "alter table gatekeeper.audit_trail disable trigger all; delete from gatekeeper.audit_trail")
  yield* insert("gatekeeper.audit_trail", old.trail)
  yield* insert("gatekeeper.audit_source", old.source)
  yield* rowsOf(url, "select gatekeeper.audit_make_month('2026-11-01')")
  for (const row of old.rows) yield* insert("gatekeeper.audit_log", row)
  return url
})

const recovered = "select seq, result from gatekeeper.audit_log where source = $1 order by seq"

describe("a home of version 0.1.0", () => {
  it.scopedLive("starts in development: its secret signs, its killed process's events arrive, each once", () =>
    Effect.gen(function* () {
      const [home, url] = [yield* makeHome, yield* makeDatabase]
      const running = yield* program({ environment: { GRAVITAS_HOME: home, DATABASE_URL: Redacted.value(url) } })
      const secret = readFileSync(join(home, "jwt-secret"), "utf8").trim()
      const token = yield* Effect.promise(() => tokenOf("Scout", 3_600, secret))
      const answer = yield* request(`${yield* running.url("gatekeeper")}/validate`, {
        token,
        body: { action: "read", resource: "vaults/public" }
      })
      expect(answer.body).toMatchObject({ allowed: true })
      const rows = yield* Effect.repeat(Effect.delay(rowsOf(url, recovered, [old.source["source"]]), "50 millis"), {
        until: (found) => found.length >= 8
      })
      expect(rows).toEqual(
        Array.from({ length: 8 }, (_, index) => ({
          seq: String(index + 1),
          result: index === 7 ? "DENIED" : "ALLOWED"
        }))
      )
    })
  )

  it.scopedLive("is refused in production until each insecure setting is named, and then starts", () =>
    Effect.gen(function* () {
      const [home, url] = [yield* makeHome, yield* makeDatabase]
      const environment = {
        NODE_ENV: "production",
        GRAVITAS_HOME: home,
        DATABASE_URL: Redacted.value(url),
        JWT_SECRET_KEY: readFileSync(join(home, "jwt-secret"), "utf8").trim(),
        GUARDIAN_SIGNING_KEY: readFileSync(join(home, "guardian-keys/active.pem"), "utf8")
      }
      const refused = yield* program({ environment })
      expect((yield* refused.ended()).code).toBe(1)
      const allow = /ALLOW_INSECURE=([\w,-]+)/.exec(refused.stderr())?.[1] ?? ""
      expect(allow.split(",").length).toBeGreaterThan(2)
      const running = yield* program({ environment: { ...environment, ALLOW_INSECURE: allow } })
      const health = yield* request(`${yield* running.url("gatekeeper")}/health`)
      expect(health.status).toBe(200)
      for (const name of allow.split(",")) expect(JSON.stringify(health.body)).toContain(name)
    })
  )
})
