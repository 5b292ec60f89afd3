import { randomUUID } from "node:crypto"
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { eventually } from "../support/Eventually.ts"
import { type Answer, Gravitas, request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { ask, issue, rowsUnder, signingKey } from "../support/Guardian.ts"
import { program } from "../support/Program.ts"
import { assertionOf, byAssertion, exchange, newKey, type TestKey } from "../support/ServiceKeys.ts"

const newAgent = () => `agent-${randomUUID()}`

/** A second process on the same database, with the same keys. */
const another = Effect.gen(function* () {
  const { databaseUrl } = yield* Gravitas
  const running = yield* program({
    environment: {
      DATABASE_URL: Redacted.value(databaseUrl),
      JWT_SECRET_KEY: signingSecret,
      GUARDIAN_SIGNING_KEY: signingKey
    }
  })
  return yield* running.url("guardian")
})

const endpoints: ReadonlyArray<readonly [string, string, unknown]> = [
  ["POST", "/validate", { agent: "Librarian" }],
  ["POST", "/session/start", { agent: "Librarian", session_id: "s" }],
  ["POST", "/session/heartbeat", { session_id: "s" }],
  ["POST", "/session/end", { session_id: "s" }],
  ["POST", "/certificates", { agent: "Librarian" }],
  ["POST", `/certificates/${randomUUID()}/revoke`, {}],
  ["GET", "/certificates", undefined],
  ["GET", "/sessions", undefined],
  ["GET", "/stats?agent=Librarian", undefined],
  ["GET", "/badges/Librarian", undefined],
  ["GET", "/badges/Librarian/b", undefined],
  ["PUT", "/badges/Librarian/b", undefined],
  ["DELETE", "/badges/Librarian/b", undefined]
]

layer(Gravitas.layer({ environment: { GUARDIAN_SIGNING_KEY: signingKey } }), {
  timeout: "60 seconds",
  excludeTestServices: true
})("Sessions of the guardian", (it) => {
  it.effect("start with a certificate in force, and end; both are in the trail under their request ids", () =>
    Effect.gen(function* () {
      const agent = newAgent()
      const session = randomUUID()
      yield* issue(agent)
      const started = yield* ask("POST", "/session/start", { agent, session_id: session, metadata: { model: "a" } })
      expect([started.status, started.body["allowed"]]).toEqual([200, true])
      const ended = yield* ask("POST", "/session/end", { session_id: session, output_file: "out.txt" })
      expect(ended.status).toBe(200)
      const rows = yield* rowsUnder(started.headers.get("x-request-id"), 2)
      const resource = `sessions/${agent}/${session}`
      expect(rows.map((row) => [row["action"], row["resource"], row["result"]])).toEqual([
        ["execute", resource, "ALLOWED"],
        ["session.start", resource, "ALLOWED"]
      ])
      const again = yield* ask("POST", "/session/end", { session_id: session })
      expect([again.status, again.body]).toEqual([200, ended.body])
      const listed = yield* ask("GET", `/sessions?agent=${agent}&active=false`)
      expect(listed.body["sessions"]).toMatchObject([
        {
          session_id: session,
          active: false,
          end_reason: "completed",
          output_file: "out.txt",
          metadata: { model: "a" }
        }
      ])
    })
  )

  it.scoped("let exactly one of 50 starts at once win, on two processes (fault 11)", () =>
    Effect.gen(function* () {
      const agent = newAgent()
      const session = randomUUID()
      yield* issue(agent)
      const other = yield* another
      const answers = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, index) => index),
        (index) =>
          ask("POST", "/session/start", { agent, session_id: session }, index % 2 === 0 ? {} : { guardian: other }),
        { concurrency: "unbounded" }
      )
      const statuses = answers.map(({ status }) => status)
      expect(statuses.filter((status) => status === 200)).toHaveLength(1)
      expect(statuses.filter((status) => status === 409)).toHaveLength(49)
      const { databaseUrl } = yield* Gravitas
      expect(
        yield* rowsOf(databaseUrl, "select session_id from guardian.session where session_id = $1", [session])
      ).toHaveLength(1)
      const lost = answers.find(({ status }) => status === 409)
      const rows = yield* rowsUnder(lost?.headers.get("x-request-id") ?? null, 2)
      expect(rows.map((row) => [row["action"], row["result"]])).toEqual([
        ["execute", "ALLOWED"],
        ["session.start", "DENIED"]
      ])
      // The other process knows it: nothing is in one's memory only.
      expect((yield* ask("POST", "/session/heartbeat", { session_id: session }, { guardian: other })).status).toBe(200)
    })
  )

  it.effect("are named by each agent for itself: a name that another took blocks none, and shows nothing of it", () =>
    Effect.gen(function* () {
      const name = randomUUID()
      for (const agent of ["Scout", "Librarian"]) yield* issue(agent)
      const start = (agent: string) =>
        ask("POST", "/session/start", { agent, session_id: name, metadata: { of: agent } }, { ghost: agent })
      const change = (what: "heartbeat" | "end", ghost?: string, agent?: string) =>
        ask("POST", `/session/${what}`, { session_id: name, agent }, ghost === undefined ? {} : { ghost })
      const codeOf = ({ body, status }: Answer) => [status, (body["error"] as { code?: string } | undefined)?.code]

      // Scout squats the name; the Librarian does not notice.
      expect((yield* start("Scout")).status).toBe(200)
      const foreign = yield* change("heartbeat", "Librarian")
      expect(codeOf(foreign)).toEqual([403, "access_denied"])
      // The row says whose session it was; the answer does not.
      const [refused] = yield* rowsUnder(foreign.headers.get("x-request-id"), 1)
      expect(refused).toMatchObject({ ghost_id: "Librarian", result: "DENIED", resource: `sessions/Scout/${name}` })
      expect(JSON.stringify(foreign.body)).not.toContain("Scout")
      // An administrator of before names one session only, and it is clear which.
      expect((yield* change("heartbeat")).status).toBe(200)
      expect((yield* start("Librarian")).status).toBe(200)
      expect(codeOf(yield* start("Librarian"))).toEqual([409, "session_exists"])

      for (const ghost of ["Scout", "Librarian"]) {
        const alive = yield* change("heartbeat", ghost)
        expect(alive.status).toBe(200)
        const rows = yield* rowsUnder(alive.headers.get("x-request-id"), 2)
        expect(rows.map((row) => row["resource"])).toEqual(Array(2).fill(`sessions/${ghost}/${name}`))
      }
      expect(codeOf(yield* change("heartbeat"))).toEqual([409, "session_ambiguous"])
      expect(codeOf(yield* change("end"))).toEqual([409, "session_ambiguous"])
      expect(codeOf(yield* change("end", "Scout", "Librarian"))).toEqual([403, "access_denied"])
      expect((yield* change("end", "Scout")).status).toBe(200)
      const listed = yield* ask("GET", "/sessions?agent=Librarian&active=true")
      expect(listed.body["sessions"]).toMatchObject([{ session_id: name, metadata: { of: "Librarian" } }])
      expect((yield* change("heartbeat", undefined, "Librarian")).status).toBe(200)
      expect(codeOf(yield* change("heartbeat", undefined, "Scout"))).toEqual([409, "session_over"])
      expect((yield* change("end", undefined, "Librarian")).status).toBe(200)
    })
  )

  it.effect("are asked for with a token of a caller, or one that was exchanged for the guardian, and no other", () =>
    Effect.gen(function* () {
      const { databaseUrl, gatekeeper } = yield* Gravitas
      const [router, guardian] = [yield* newKey, yield* newKey]
      for (const [service, { id, x }] of [
        ["router", router],
        ["guardian", guardian]
      ] as const) {
        yield* rowsOf(
          databaseUrl,
          "insert into gatekeeper.service_key (key_id, service, public_key, enrolled_by) values ($1, $2, $3, 'a test')",
          [id, service, x]
        )
      }
      const tokenFor = (service: string, key: TestKey) =>
        eventually(
          Effect.flatMap(assertionOf(`service:${service}`, key), (assertion) => byAssertion(gatekeeper, assertion)),
          ({ status }) => status === 200
        ).pipe(Effect.map(({ token }) => token))
      const [ofRouter, ofGuardian] = [yield* tokenFor("router", router), yield* tokenFor("guardian", guardian)]
      const admin = yield* Effect.promise(() => tokenOf("dan_flory"))
      const forGuardian = (yield* exchange(gatekeeper, admin, ofRouter, "guardian")).token
      const forGatekeeper = (yield* exchange(gatekeeper, forGuardian, ofGuardian, "gatekeeper")).token
      const { program } = yield* Gravitas
      for (const [service, path, body] of [
        ["guardian", "/validate", { agent: "Librarian" }],
        ["guardian", "/sessions/keep", { alive: [] }],
        ["router", "/v1/chat/completions", { model: "echo", messages: [{ role: "user", content: "hello" }] }]
      ] as const) {
        const url = yield* program.url(service)
        for (const token of [ofRouter, ofGuardian, forGatekeeper]) {
          expect([path, (yield* request(`${url}${path}`, { body, token })).status]).toEqual([path, 401])
        }
      }
      const url = yield* program.url("guardian")
      yield* issue("Librarian")
      expect((yield* request(`${url}/validate`, { body: { agent: "Librarian" }, token: forGuardian })).status).toBe(200)
    })
  )

  it.effect("never stand on a certificate that was revoked before their answer", () =>
    Effect.gen(function* () {
      const agent = newAgent()
      const { id } = yield* issue(agent)
      const starting = Array.from({ length: 30 }, (_, index) =>
        Effect.delay(ask("POST", "/session/start", { agent, session_id: `${agent}-${index}` }), `${index * 4} millis`)
      )
      const revoking = Effect.delay(ask("POST", `/certificates/${id}/revoke`, { reason: "compromised" }), "60 millis")
      const [answers, revoked] = yield* Effect.all([Effect.all(starting, { concurrency: "unbounded" }), revoking], {
        concurrency: "unbounded"
      })
      expect(revoked.status).toBe(200)
      const started = answers.filter(({ status }) => status === 200).length
      expect(answers.filter(({ status }) => status === 403)).toHaveLength(30 - started)
      expect(revoked.body["sessions_ended"]).toBe(started)
      expect((yield* ask("GET", `/sessions?agent=${agent}&active=true`)).body["sessions"]).toEqual([])
      const late = yield* ask("POST", "/session/start", { agent, session_id: randomUUID() })
      expect([late.status, late.body["detail"]]).toEqual([403, expect.stringContaining("compromised")])
      const again = yield* ask("POST", `/certificates/${id}/revoke`, {})
      expect([again.status, again.body["revoked_at"]]).toEqual([200, revoked.body["revoked_at"]])
    })
  )

  it.effect("keep no prompts and no secrets, and say what they left out", () =>
    Effect.gen(function* () {
      const agent = newAgent()
      const session = randomUUID()
      yield* issue(agent)
      const secret = "the whole conversation"
      const metadata = {
        model: "gemma",
        messages: [{ role: "user", content: secret }],
        nested: { systemPrompt: secret, "x-api-key": secret, tier: "L1" },
        note: secret.repeat(20)
      }
      yield* ask("POST", "/session/start", { agent, session_id: session, metadata })
      const { databaseUrl } = yield* Gravitas
      const rows = yield* rowsOf(databaseUrl, "select metadata::text from guardian.session where session_id = $1", [
        session
      ])
      expect(JSON.stringify(rows)).not.toContain(secret)
      expect(JSON.parse(String(rows[0]?.["metadata"]))).toEqual({
        model: "gemma",
        nested: { tier: "L1" },
        dropped: ["messages", "nested.systemPrompt", "nested.x-api-key", "note"]
      })
    })
  )

  it.effect("are separated by permission: an agent has its own, and no other agent's", () =>
    Effect.gen(function* () {
      yield* issue("Librarian")
      const session = randomUUID()
      const own = yield* ask(
        "POST",
        "/session/start",
        { agent: "Librarian", session_id: session },
        { ghost: "Librarian" }
      )
      expect(own.status).toBe(200)
      const foreign = yield* ask("POST", "/session/end", { session_id: session }, { ghost: "Scout" })
      expect(foreign.status).toBe(403)
      expect((yield* ask("POST", "/session/end", { session_id: randomUUID() }, { ghost: "Scout" })).status).toBe(403)
      expect((yield* ask("POST", "/session/end", { session_id: session }, { ghost: "Librarian" })).status).toBe(200)
      const over = yield* ask("POST", "/session/heartbeat", { session_id: session }, { ghost: "Librarian" })
      expect([over.status, over.body["error"]]).toMatchObject([409, { code: "session_over" }])
      const unknown = yield* ask("POST", "/session/end", { session_id: randomUUID() })
      expect([unknown.status, unknown.body["error"]]).toMatchObject([404, { code: "session_not_found" }])
    })
  )

  for (const [method, path, body] of endpoints) {
    it.effect(`need a token and a permission, each recorded: ${method} ${path.replace(/[0-9a-f-]{36}/, "<id>")}`, () =>
      Effect.gen(function* () {
        const anonymous = yield* ask(method, path, body, { anonymous: true })
        expect([anonymous.status, anonymous.headers.get("www-authenticate")]).toEqual([401, 'Bearer realm="gravitas"'])
        const [row] = yield* rowsUnder(anonymous.headers.get("x-request-id"), 1)
        expect([row?.["result"], row?.["ghost_id"]]).toEqual(["UNAUTHENTICATED", null])
        const denied = yield* ask(method, path, body, { ghost: "Scout" })
        expect(denied.status).toBe(403)
        const [other] = yield* rowsUnder(denied.headers.get("x-request-id"), 1)
        expect([other?.["result"], other?.["ghost_id"]]).toEqual(["DENIED", "Scout"])
      })
    )
  }

  it.effect("refuse what they cannot understand, with a row", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [string, string, unknown, number]> = [
        ["POST", "/session/start", "{", 422],
        ["POST", "/session/start", { agent: "a/b", session_id: "s" }, 422],
        ["POST", "/session/start", { agent: "a", session_id: "x/../y" }, 422],
        ["POST", "/session/start", { agent: "a", session_id: "s", metadata: { a: "x".repeat(70_000) } }, 413],
        ["POST", "/session/start", { agent: "a".repeat(200), session_id: "s".repeat(200) }, 422],
        ["POST", "/session/end", { session_id: "\u0000" }, 422],
        ["POST", "/session/heartbeat", { session_id: "s", agent: "a/b" }, 422],
        ["POST", "/sessions/keep", { alive: ["s"] }, 422],
        ["POST", "/certificates", { agent: "a", expires_at: "2030-01-01T00:00:00" }, 422],
        ["POST", "/certificates", { agent: "a", valid_for: "-1d" }, 422],
        ["POST", "/certificates/no-uuid/revoke", {}, 422],
        ["GET", "/sessions?limit=0", undefined, 422],
        ["GET", "/certificates?agents=x", undefined, 422],
        ["PUT", "/badges/a%2Fb/c", undefined, 422]
      ]
      for (const [method, path, body, status] of cases) {
        const answer = yield* ask(method, path, body)
        expect([path, answer.status]).toEqual([path, status])
        const rows = yield* rowsUnder(answer.headers.get("x-request-id"), 2)
        expect([path, rows.some((row) => row["result"] === "INVALID")]).toEqual([path, true])
      }
    })
  )
})
