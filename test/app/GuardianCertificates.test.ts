import { randomUUID } from "node:crypto"
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { compactVerify, createLocalJWKSet } from "jose"
import { Gravitas, rowsOf } from "../support/Gravitas.ts"
import { ask, issue, rowsUnder, signingKey } from "../support/Guardian.ts"

const newAgent = () => `agent-${randomUUID()}`

layer(Gravitas.layer({ environment: { GUARDIAN_SIGNING_KEY: signingKey } }), {
  timeout: "60 seconds",
  excludeTestServices: true
})("Certificates of the guardian", (it) => {
  it.effect("are issued so that others verify them offline, with the published keys", () =>
    Effect.gen(function* () {
      const agent = newAgent()
      const certificate = yield* issue(agent, { valid_for: "24h", version: 3 })
      const jwks = yield* ask("GET", "/.well-known/jwks.json", undefined, { anonymous: true })
      expect(jwks.status).toBe(200)
      expect(JSON.stringify(jwks.body)).not.toContain('"d"')
      const keys = createLocalJWKSet({ keys: jwks.body["keys"] as [] })
      const { payload, protectedHeader } = yield* Effect.promise(() =>
        compactVerify(String(certificate["signature"]), keys)
      )
      const claims = JSON.parse(new TextDecoder().decode(payload))
      expect(protectedHeader).toMatchObject({ alg: "EdDSA", kid: certificate["key_id"] })
      expect(claims).toMatchObject({ sub: agent, version: 3, jti: certificate["id"] })
      expect(claims.exp - claims.iat).toBe(86_400)
      expect(new Date(claims.exp * 1_000).toISOString()).toBe(certificate["expires_at"])
    })
  )

  it.effect("are answered as clients of the old system know them: /validate and the list", () =>
    Effect.gen(function* () {
      const agent = newAgent()
      const before = yield* ask("POST", "/validate", { agent })
      expect([before.status, before.body["error"]]).toMatchObject([403, { code: "not_certified" }])
      const { expires_at, id, issued_at, key_id } = yield* issue(agent)
      const valid = yield* ask("POST", "/validate", { agent })
      expect([valid.status, valid.body]).toEqual([200, { valid: true, agent, issued_at, expires_at }])
      yield* issue(agent, { expires_at: "2030-01-01T00:00:00+02:00" })
      const first = yield* ask("GET", `/certificates?agent=${agent}&limit=1`)
      expect(first.body).toMatchObject({
        certificates: [
          { agent, expires_at: "2029-12-31T22:00:00.000Z", version: 1, is_expired: false, is_verified: true }
        ],
        total: 2
      })
      const second = yield* ask("GET", `/certificates?agent=${agent}&limit=1&cursor=${first.body["next"]}`)
      expect(second.body).toEqual({
        certificates: [
          {
            agent,
            issued_at,
            expires_at,
            version: 1,
            is_expired: false,
            id,
            key_id,
            revoked_at: null,
            is_verified: true
          }
        ],
        total: 2,
        next: null
      })
    })
  )

  it.effect("certify nothing once their row is edited, and a revocation cannot be taken back (fault 11)", () =>
    Effect.gen(function* () {
      const { databaseUrl } = yield* Gravitas
      const agent = newAgent()
      const { id } = yield* issue(agent, { valid_for: "1h" })
      const edit = (change: string) =>
        rowsOf(databaseUrl, `update guardian.certificate set ${change} where jti = $1 returning id`, [id])
      // The table itself refuses. Its owner can drop the trigger; then the signature shows the change.
      expect(
        String(yield* Effect.sandbox(edit("expires_at = expires_at + interval '1 year'")).pipe(Effect.flip))
      ).toContain("only added to and revoked")
      yield* rowsOf(databaseUrl, "alter table guardian.certificate disable trigger certificate_only_revoked")
      yield* edit("expires_at = expires_at + interval '1 year'")
      const altered = yield* ask("POST", "/validate", { agent })
      expect([altered.status, altered.body["detail"]]).toEqual([403, expect.stringContaining("expires_at")])
      const refused = yield* ask("POST", "/session/start", { agent, session_id: randomUUID() })
      expect([refused.status, refused.body["error"]]).toMatchObject([403, { code: "not_certified" }])
      const listed = yield* ask("GET", `/certificates?agent=${agent}`)
      expect(listed.body["certificates"]).toMatchObject([{ is_verified: false }])
      yield* edit("expires_at = expires_at - interval '1 year'")
      expect((yield* ask("POST", "/validate", { agent })).status).toBe(200)
      yield* rowsOf(databaseUrl, "alter table guardian.certificate enable always trigger certificate_only_revoked")
      expect((yield* ask("POST", `/certificates/${id}/revoke`)).status).toBe(200)
      expect(String(yield* Effect.sandbox(edit("revoked_at = null")).pipe(Effect.flip))).toContain("only added to")
      const copy = rowsOf(
        databaseUrl,
        `insert into guardian.certificate (jti, agent, version, issued_at, expires_at, key_id, signature)
         select jti, agent, version, issued_at, expires_at, key_id, signature from guardian.certificate where jti = $1`,
        [id]
      )
      expect(String(yield* Effect.sandbox(copy).pipe(Effect.flip))).toContain("duplicate key")
    })
  )

  it.effect("are issued at once for one agent, each whole; one of them is in force", () =>
    Effect.gen(function* () {
      const agent = newAgent()
      const issued = yield* Effect.forEach(Array.from({ length: 10 }), () => issue(agent), { concurrency: "unbounded" })
      expect(new Set(issued.map(({ id }) => id)).size).toBe(10)
      for (const { id } of issued.slice(1)) yield* ask("POST", `/certificates/${id}/revoke`)
      expect((yield* ask("POST", "/validate", { agent })).status).toBe(200)
      yield* ask("POST", `/certificates/${issued[0]?.["id"]}/revoke`)
      const revoked = yield* ask("POST", "/validate", { agent })
      expect([revoked.status, revoked.body["detail"]]).toEqual([403, expect.stringContaining("was revoked")])
      const rows = yield* rowsUnder(revoked.headers.get("x-request-id"), 2)
      expect(rows.map((row) => [row["action"], row["result"]])).toEqual([
        ["read", "ALLOWED"],
        ["certificate.validate", "DENIED"]
      ])
    })
  )

  it.effect("are revoked also where the database's clock went back since a session began", () =>
    Effect.gen(function* () {
      const { databaseUrl } = yield* Gravitas
      const agent = newAgent()
      const { id } = yield* issue(agent)
      yield* ask("POST", "/session/start", { agent, session_id: agent })
      const ahead = "clock_timestamp() + interval '10 minutes'"
      yield* rowsOf(
        databaseUrl,
        `update guardian.session set started_at = ${ahead}, last_seen_at = ${ahead} where session_id = $1`,
        [agent]
      )
      const revoked = yield* ask("POST", `/certificates/${id}/revoke`, {})
      expect([revoked.status, revoked.body["sessions_ended"]]).toEqual([200, 1])
      expect((yield* ask("POST", "/validate", { agent })).status).toBe(403)
    })
  )

  it.effect("come with badges: granted once, read, taken once", () =>
    Effect.gen(function* () {
      const ghost = newAgent()
      const path = `/badges/${ghost}/first%20flight`
      expect((yield* ask("GET", path)).status).toBe(404)
      const granted = yield* ask("PUT", path)
      expect([granted.status, granted.body["badge_name"]]).toEqual([201, "first flight"])
      const again = yield* ask("PUT", path)
      expect([again.status, again.body]).toEqual([200, granted.body])
      expect((yield* ask("GET", path)).body).toEqual(granted.body)
      expect((yield* ask("GET", `/badges/${ghost}`)).body).toEqual({
        ghost_id: ghost,
        badges: [granted.body],
        total: 1
      })
      const taken = yield* ask("DELETE", path)
      expect([taken.status, taken.body]).toEqual([200, granted.body])
      expect((yield* ask("DELETE", path)).status).toBe(404)
      const rows = yield* rowsUnder(taken.headers.get("x-request-id"), 2)
      expect(rows.map((row) => [row["action"], row["resource"]])).toEqual([
        ["write", `badges/${ghost}/first flight`],
        ["badge.take", `badges/${ghost}/first flight`]
      ])
    })
  )

  it.effect("come with badges whose names are as long as names may be, in any script", () =>
    Effect.gen(function* () {
      for (const letter of ["g", "猫", "&"]) {
        const ghost = letter.repeat(150)
        const badge = letter.repeat(90)
        const path = (name: string) => `/badges/${encodeURIComponent(name)}/${encodeURIComponent(badge)}`
        const granted = yield* ask("PUT", path(ghost))
        expect([granted.status, granted.body["ghost_id"]]).toEqual([201, ghost])
        expect((yield* ask("GET", path(ghost))).body).toEqual(granted.body)
        const tooLong = yield* ask("PUT", path(letter.repeat(201)))
        expect([tooLong.status, tooLong.body["detail"]]).toEqual([422, expect.stringContaining("201 characters")])
        const rows = yield* rowsUnder(tooLong.headers.get("x-request-id"), 2)
        expect(rows.map((row) => row["result"])).toEqual(["ALLOWED", "INVALID"])
      }
    })
  )

  it.effect("are counted with the sessions from the tables: /stats and /health", () =>
    Effect.gen(function* () {
      const agent = newAgent()
      const { expires_at } = yield* issue(agent)
      yield* ask("POST", "/session/start", { agent, session_id: `${agent}/1` })
      yield* ask("POST", "/session/start", { agent, session_id: `${agent}/2` })
      yield* ask("POST", "/session/end", { session_id: `${agent}/1` })
      const stats = yield* ask("GET", `/stats?agent=${agent}`)
      expect(stats.body).toEqual({
        agent,
        active_sessions: 1,
        completed_total: 1,
        avg_duration: expect.any(Number),
        certification_expires: expires_at
      })
      const all = yield* ask("GET", "/stats?limit=1000")
      expect(all.body["agents"]).toContainEqual(stats.body)
      const unknown = yield* ask("GET", "/stats?agent=unknown-agent")
      expect(unknown.body).toMatchObject({ active_sessions: 0, avg_duration: null, certification_expires: null })
      yield* Effect.sleep("1100 millis")
      const health = yield* ask("GET", "/health", undefined, { anonymous: true })
      expect(health.body).toMatchObject({ status: "healthy", counts: { active_sessions: 1 } })
    })
  )
})
