import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { eventually } from "../support/Eventually.ts"
import { request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { issuerKey, jwksServer } from "../support/Jwks.ts"
import { program } from "../support/Program.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"

it.scopedLive(
  "the program believes an issuer's tokens beside its own, follows its keys, and answers 503, recorded, while it cannot know",
  () =>
    Effect.gen(function* () {
      const server = yield* jwksServer
      server.fail(500)
      const databaseUrl = yield* migratedDatabase
      const running = yield* program({
        args: ["gatekeeper"],
        environment: {
          DATABASE_URL: Redacted.value(databaseUrl),
          JWT_SECRET_KEY: signingSecret,
          JWKS_URL: server.url,
          JWKS_COOL_DOWN: "100ms"
        }
      })
      const gatekeeper = yield* running.url("gatekeeper")
      const [first, second] = yield* Effect.all([issuerKey("first"), issuerKey("second", "EdDSA")])
      const exp = Math.floor(Date.now() / 1000) + 600
      const [old, fresh] = yield* Effect.all([first.sign({ sub: "Scout", exp }), second.sign({ sub: "Scout", exp })])
      const ask = (token: string) =>
        request(`${gatekeeper}/validate`, { token, body: { action: "read", resource: "vaults/public" } })

      const health = Effect.map(request(`${gatekeeper}/health`), ({ body }) => body)
      const away = yield* health
      expect(away).toMatchObject({
        status: "degraded",
        version: expect.stringMatching(/^\d+\.\d+\.\d+/),
        issuer_keys: { fetched_at: null, problem: "status 500" }
      })
      const unknown = yield* ask(old)
      expect(unknown.status).toBe(503)
      expect(unknown.headers.get("retry-after")).toBe("1")
      expect(unknown.body).toMatchObject({ error: { code: "keys_unavailable" } })
      const { audit_id: id } = unknown.body["error"] as { readonly audit_id: string }
      const rows = yield* rowsOf(databaseUrl, "select * from gatekeeper.audit_log where id = $1", [id]).pipe(
        Effect.filterOrFail((found) => found.length === 1),
        Effect.retry(Schedule.spaced("20 millis")),
        Effect.timeout("30 seconds")
      )
      expect(rows[0]).toMatchObject({ ghost_id: null, result: "UNAUTHENTICATED" })
      expect(rows[0]?.["reason"]).toMatch(/signing keys cannot be fetched \(status 500\)/)
      expect((yield* ask(yield* Effect.promise(() => tokenOf("Scout")))).status).toBe(200)

      server.publish([first.public])
      yield* ask(old).pipe(
        Effect.filterOrFail(({ status }) => status === 200),
        Effect.retry(Schedule.spaced("100 millis")),
        Effect.timeout("30 seconds")
      )
      const back = yield* health
      expect(back).toMatchObject({ status: "healthy", issuer_keys: { fetched_at: expect.any(String), problem: null } })
      expect(Object(back["issuer_keys"]).failures).toBeGreaterThan(0)
      const metrics = Effect.promise(async () => (await fetch(`${gatekeeper}/metrics`)).text())
      yield* eventually(metrics, (text) => /^gatekeeper_issuer_keys_age_seconds \d/m.test(text))
      expect(yield* metrics).toMatch(/^gatekeeper_issuer_key_fetch_failures [1-9]/m)
      server.publish([first.public, second.public])
      yield* Effect.sleep("150 millis")
      expect((yield* ask(fresh)).body).toMatchObject({ allowed: true, ghost_id: "Scout" })
      expect((yield* ask(yield* second.sign({ sub: "Scout", exp: exp - 1_000 }))).status).toBe(401)
    }),
  60_000
)
