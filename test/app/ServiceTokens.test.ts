import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { decodeJwt, SignJWT } from "jose"
import { Gravitas, request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { until } from "../support/RemoteTrail.ts"
import {
  assertionOf,
  byAssertion,
  command,
  exchange,
  newKey,
  now,
  requestToken,
  type TestKey
} from "../support/ServiceKeys.ts"
import { insecureUnderTest } from "../support/Tokens.ts"

const enrolled = (service: string) =>
  Effect.gen(function* () {
    const { databaseUrl } = yield* Gravitas
    const key = yield* newKey
    yield* rowsOf(
      databaseUrl,
      "insert into gatekeeper.service_key (key_id, service, public_key, enrolled_by) values ($1, $2, $3, 'a test')",
      [key.id, service, key.x]
    )
    return key
  })

const serviceToken = (service: string, key: TestKey) =>
  Effect.gen(function* () {
    const { gatekeeper } = yield* Gravitas
    const identity = `service:${service}`
    const granted = yield* until(
      Effect.flatMap(assertionOf(identity, key), (assertion) => byAssertion(gatekeeper, assertion)),
      ({ status }) => status === 200
    )
    return granted.token
  })

const production = { NODE_ENV: "production", ALLOW_INSECURE: insecureUnderTest, GUARDIAN_SIGNING_KEY: "" }

layer(Gravitas.layer({ args: ["gatekeeper"], environment: production }), {
  timeout: "60 seconds",
  excludeTestServices: true
})("POST /oauth/token", (it) => {
  it.scoped(
    "gives a service a token by its enrolled key, until the key is withdrawn; the shared secret makes no service",
    () =>
      Effect.gen(function* () {
        const { databaseUrl, gatekeeper } = yield* Gravitas
        const key = yield* newKey
        const identity = "service:guardian"
        const unknown = yield* byAssertion(gatekeeper, yield* assertionOf(identity, key))
        expect(unknown).toMatchObject({ status: 400, body: { error: "invalid_grant" } })
        expect(unknown.body["error_description"]).toContain("gravitas service enroll guardian <public-key>")

        expect(yield* command(databaseUrl, ["service", "enroll", "guardian", key.x])).toContain(key.id)
        const token = yield* serviceToken("guardian", key)
        expect(decodeJwt(token)).toMatchObject({ sub: identity, aud: "gatekeeper" })
        expect((decodeJwt(token).exp ?? 0) - now()).toBeLessThanOrEqual(60)
        const trail = (given: string) => request(`${gatekeeper}/audit/store/trail`, { body: {}, token: given })
        expect((yield* trail(token)).status).toBe(200)

        const shared = yield* Effect.promise(() => tokenOf(identity))
        expect(yield* trail(shared)).toMatchObject({ status: 401 })
        expect((yield* request(`${gatekeeper}/validate`, { body: { resource: "x" }, token: shared })).status).toBe(401)
        // Enrolled for one service, it proves no other.
        const other = yield* byAssertion(gatekeeper, yield* assertionOf("service:router", key))
        expect(other.status).toBe(400)

        // A rotation: both keys are good, until the old one is withdrawn.
        const next = yield* enrolled("guardian")
        expect((yield* trail(yield* serviceToken("guardian", next))).status).toBe(200)
        expect((yield* byAssertion(gatekeeper, yield* assertionOf(identity, key))).status).toBe(200)

        yield* command(databaseUrl, ["service", "withdraw", key.id])
        yield* until(
          Effect.flatMap(assertionOf(identity, key), (assertion) => byAssertion(gatekeeper, assertion)),
          ({ status }) => status === 400
        )
        expect((yield* trail(yield* serviceToken("guardian", next))).status).toBe(200)
        expect(yield* command(databaseUrl, ["service", "list"])).toMatch(new RegExp(`${key.id} +withdrawn`))
        const changes = yield* rowsOf(
          databaseUrl,
          "select action from gatekeeper.audit_log where metadata ->> 'key_id' = $1 order by id",
          [key.id]
        )
        expect(changes.map((row) => row["action"])).toEqual(["service.enroll", "service.withdraw"])
      })
  )

  it.effect("refuses a stolen assertion, and one that is not what a service sends, and records each", () =>
    Effect.gen(function* () {
      const { databaseUrl, gatekeeper } = yield* Gravitas
      const key = yield* enrolled("router")
      const identity = "service:router"
      yield* serviceToken("router", key)
      const stolen = yield* assertionOf(identity, key)
      expect((yield* byAssertion(gatekeeper, stolen)).status).toBe(200)
      const thief = yield* newKey
      const forged: ReadonlyArray<readonly [assertion: string, reason: RegExp]> = [
        [stolen, /was used before/],
        [yield* assertionOf(identity, key, { aud: "https://another.example" }), /"aud" is not acceptable/],
        [yield* assertionOf(identity, key, { exp: now() - 60, iat: now() - 90 }), /has expired/],
        [yield* assertionOf(identity, key, { exp: now() + 3_600 }), /more than 60 seconds/],
        [yield* assertionOf(identity, key, { iat: now() - 3_600, exp: now() - 3_550 }), /has expired/],
        [yield* assertionOf(identity, key, { sub: "dan_flory" }), /"sub" is not acceptable/],
        [yield* assertionOf(identity, key, { jti: "" }), /no usable jti/],
        [yield* assertionOf(identity, { ...key, key: thief.key }), /signature is wrong/],
        [yield* assertionOf("dan_flory", key), /names no service/],
        ["none", /names no service/]
      ]
      for (const [assertion, reason] of forged) {
        const refused = yield* byAssertion(gatekeeper, assertion)
        expect(refused).toMatchObject({ status: 400, body: { error: "invalid_grant", audit_id: expect.any(String) } })
        expect(refused.body["error_description"]).toMatch(reason)
        yield* until(
          rowsOf(databaseUrl, "select result from gatekeeper.audit_log where id = $1", [refused.body["audit_id"]]),
          (rows) => rows[0]?.["result"] === "UNAUTHENTICATED"
        )
      }
      expect(yield* requestToken(gatekeeper, { grant_type: "password" })).toMatchObject({
        status: 400,
        body: { error: "unsupported_grant_type" }
      })
    })
  )

  it.effect("exchanges a caller's token for one that a single peer can use, and for decisions alone", () =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      const router = yield* serviceToken("router", yield* enrolled("router"))
      const guardian = yield* serviceToken("guardian", yield* enrolled("guardian"))
      const admin = yield* Effect.promise(() => tokenOf("dan_flory"))
      const forGuardian = yield* exchange(gatekeeper, admin, router, "guardian")
      expect(decodeJwt(forGuardian.token)).toMatchObject({
        sub: "dan_flory",
        aud: "guardian",
        act: { sub: "service:router" }
      })
      const paths = ["/policy", "/audit/events", "/audit/pipeline"]
      const statusesOf = (token: string) =>
        Effect.forEach(paths, (path) => Effect.map(request(`${gatekeeper}${path}`, { token }), ({ status }) => status))
      const question = { action: "read", resource: "vaults/public" }
      const decide = (token: string) => request(`${gatekeeper}/validate`, { body: question, token })
      expect(yield* statusesOf(admin)).toEqual([200, 200, 200])
      expect(yield* statusesOf(forGuardian.token)).toEqual([401, 401, 401])
      expect((yield* decide(forGuardian.token)).status).toBe(401)
      // Neither a thief nor the router can make another of it.
      for (const actor of [router, admin, forGuardian.token]) {
        expect((yield* exchange(gatekeeper, forGuardian.token, actor, "gatekeeper")).status).not.toBe(200)
      }
      const forDecisions = yield* exchange(gatekeeper, forGuardian.token, guardian, "gatekeeper")
      expect(decodeJwt(forDecisions.token)).toMatchObject({ sub: "dan_flory", aud: "gatekeeper" })
      expect(decodeJwt(forDecisions.token).exp).toBeLessThanOrEqual(decodeJwt(forGuardian.token).exp ?? 0)
      expect(yield* decide(forDecisions.token)).toMatchObject({ status: 200, body: { ghost_id: "dan_flory" } })
      // A process that runs the gatekeeper too has its key, and sends tokens that its guardian received; none that were for the gatekeeper.
      const joint = yield* serviceToken("gatekeeper", yield* enrolled("gatekeeper"))
      const byJoint = yield* exchange(gatekeeper, forGuardian.token, joint, "gatekeeper")
      expect(yield* decide(byJoint.token)).toMatchObject({ status: 200, body: { ghost_id: "dan_flory" } })
      for (const foreign of [router, guardian, forDecisions.token]) {
        expect(yield* exchange(gatekeeper, foreign, joint, "gatekeeper")).toMatchObject({
          status: 400,
          body: { error: "invalid_grant" }
        })
      }
      // A compromised guardian is not an administrator.
      expect(yield* statusesOf(forDecisions.token)).toEqual([401, 401, 401])

      const brief = yield* Effect.promise(() => tokenOf("Scout", 20))
      const short = yield* exchange(gatekeeper, brief, router, "guardian")
      expect(decodeJwt(short.token).exp).toBeLessThanOrEqual(decodeJwt(brief).exp ?? 0)
      const refusals: ReadonlyArray<readonly [answer: { readonly body: unknown }, error: string]> = [
        [yield* exchange(gatekeeper, "x.y.z", router, "guardian"), "invalid_grant"],
        [yield* exchange(gatekeeper, admin, router, "router"), "invalid_target"],
        [yield* exchange(gatekeeper, admin, admin, "guardian"), "invalid_client"],
        [
          yield* exchange(gatekeeper, admin, yield* Effect.promise(() => tokenOf("service:router")), "guardian"),
          "invalid_client"
        ]
      ]
      for (const [{ body }, error] of refusals) expect(body).toMatchObject({ error })
    })
  )

  it.effect("exchanges a service's own token for one by which it asks a guardian, and for nothing else", () =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      const router = yield* serviceToken("router", yield* enrolled("router"))
      const guardian = yield* serviceToken("guardian", yield* enrolled("guardian"))
      const feedStatus = (token: string) =>
        Effect.map(request(`${gatekeeper}/stops`, { token }), ({ status }) => status)
      const forGuardian = yield* exchange(gatekeeper, router, router, "guardian")
      expect(decodeJwt(forGuardian.token)).toMatchObject({ sub: "service:router", aud: "guardian" })
      expect((yield* exchange(gatekeeper, router, guardian, "gatekeeper")).body).toMatchObject({
        error: "invalid_grant"
      })
      const { token } = yield* exchange(gatekeeper, forGuardian.token, guardian, "gatekeeper")
      const body = { action: "execute", resource: "services/sessions" }
      expect(yield* request(`${gatekeeper}/validate`, { body, token })).toMatchObject({
        status: 200,
        body: { ghost_id: "service:router" }
      })
      expect(yield* Effect.forEach([router, forGuardian.token, token], feedStatus)).toEqual([200, 401, 401])
      const joint = yield* serviceToken("guardian+router", yield* enrolled("guardian+router"))
      expect(yield* feedStatus(joint)).toBe(200)
    })
  )

  it.effect("exchanges no token of a ghost that is stopped, and none from before its resume", () =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      const router = yield* serviceToken("router", yield* enrolled("router"))
      const [admin, stopped] = yield* Effect.promise(() =>
        Promise.all([tokenOf("dan_flory"), tokenOf("Stopped_Agent")])
      )
      const exchanged = exchange(gatekeeper, stopped, router, "guardian")
      expect((yield* exchanged).status).toBe(200)
      for (const effect of ["stop", "resume"]) {
        const answer = yield* request(`${gatekeeper}/ghosts/Stopped_Agent/${effect}`, { body: {}, token: admin })
        expect(answer.status).toBe(200)
        expect(yield* exchanged).toMatchObject({ status: 400, body: { error: "invalid_grant" } })
      }
    })
  )

  it.effect("lets the end of a token reach those that were exchanged for it", () =>
    Effect.gen(function* () {
      const { databaseUrl, gatekeeper } = yield* Gravitas
      const router = yield* serviceToken("router", yield* enrolled("router"))
      const guardian = yield* serviceToken("guardian", yield* enrolled("guardian"))
      const claims = { jti: "leaked", groups: [] }
      const token = yield* Effect.promise(() =>
        new SignJWT(claims)
          .setProtectedHeader({ alg: "HS256" })
          .setSubject("dan_flory")
          .setIssuedAt()
          .setExpirationTime("5m")
          .sign(new TextEncoder().encode(signingSecret))
      )
      const forGuardian = yield* exchange(gatekeeper, token, router, "guardian")
      const forDecisions = yield* exchange(gatekeeper, forGuardian.token, guardian, "gatekeeper")
      const body = { action: "read", resource: "vaults/public" }
      const decide = request(`${gatekeeper}/validate`, { body, token: forDecisions.token })
      expect((yield* decide).status).toBe(200)
      yield* rowsOf(
        databaseUrl,
        `insert into gatekeeper.revocation (id, kind, subject, effect, at, made_by)
         values (gen_random_uuid(), 'token', 'leaked', 'stop', now(), 'a test')`
      )
      yield* until(decide, ({ status }) => status === 401)
      for (const [subject, actor] of [
        [token, router],
        [forGuardian.token, guardian]
      ] as const) {
        expect(yield* exchange(gatekeeper, subject, actor, "gatekeeper")).toMatchObject({
          status: 400,
          body: { error: "invalid_grant" }
        })
      }
    })
  )
})
