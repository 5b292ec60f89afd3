import { randomUUID } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { signingKey } from "../support/Guardian.ts"
import { program } from "../support/Program.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"
import { testPostgres } from "../support/TestPostgres.ts"

const start = (url: Redacted.Redacted, environment: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const running = yield* program({
      environment: {
        DATABASE_URL: Redacted.value(url),
        JWT_SECRET_KEY: signingSecret,
        GUARDIAN_SIGNING_KEY: signingKey,
        ...environment
      }
    })
    const guardian = yield* running.url("guardian")
    const token = yield* Effect.promise(() => tokenOf("Supervisor_Managed_Agent"))
    const ask = (path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}) =>
      request(`${guardian}${path}`, { token, headers, ...(body === undefined ? {} : { body }) })
    /** A streamed answer of the router, whole. */
    const chat = (content: string) =>
      Effect.flatMap(running.url("router"), (router) =>
        Effect.promise(async () => {
          const answer = await fetch(`${router}/v1/chat/completions`, {
            method: "POST",
            headers: { authorization: `Bearer ${token}` },
            body: JSON.stringify({ model: "echo-slow", messages: [{ role: "user", content }], stream: true })
          })
          return answer.text()
        })
      )
    const put = (path: string) => request(`${guardian}${path}`, { token, method: "PUT" })
    return { ask, put, chat }
  })

const rowsOnce = (url: Redacted.Redacted, text: string, values: ReadonlyArray<unknown>, count: number) =>
  rowsOf(url, text, values).pipe(
    Effect.flatMap((rows) => (rows.length >= count ? Effect.succeed(rows) : Effect.fail("not there" as const))),
    Effect.retry(Schedule.spaced("50 millis")),
    Effect.timeout("20 seconds"),
    Effect.orDie
  )

describe("the guardian", () => {
  it.scopedLive(
    "lets no session of the router expire while its answer is under way",
    () =>
      Effect.gen(function* () {
        const url = yield* migratedDatabase
        const { ask, chat } = yield* start(url, { GUARDIAN_SESSION_TIMEOUT: "1s" })
        yield* ask("/certificates", { agent: "Supervisor_Managed_Agent" })
        expect(yield* chat("word ".repeat(20))).toContain("[DONE]")
        const ended = "select end_reason from guardian.session where ended_at is not null"
        expect(yield* rowsOnce(url, ended, [], 1)).toEqual([{ end_reason: "completed" }])
      }),
    60_000
  )

  it.scopedLive("refuses while the gatekeeper cannot be asked, and records that", () =>
    Effect.gen(function* () {
      const url = yield* migratedDatabase
      const { ask } = yield* start(url, { GATEKEEPER_URL: "http://127.0.0.1:9" })
      const answer = yield* ask("/certificates", { agent: "Librarian" }, { "x-request-id": "peerless" })
      expect([answer.status, answer.headers.get("retry-after"), answer.body["error"]]).toMatchObject([
        503,
        "1",
        { code: "peer_unavailable", audit_id: expect.any(String) }
      ])
      const [row] = yield* rowsOnce(url, "select * from gatekeeper.audit_log where request_id = 'peerless'", [], 1)
      expect(row).toMatchObject({
        action: "certificate.issue",
        resource: "certificates/Librarian",
        result: "DENIED",
        ghost_id: null
      })
      expect(yield* rowsOf(url, "select from guardian.certificate")).toEqual([])
      expect((yield* ask("/.well-known/jwks.json")).status).toBe(200)
    })
  )

  it.scopedLive(
    "answers 503 within its deadline while PostgreSQL is stopped, records that, and goes on when it is back",
    () =>
      Effect.gen(function* () {
        const postgres = yield* testPostgres()
        const { ask, put } = yield* start(postgres.url)
        expect((yield* ask("/certificates", { agent: "Librarian" })).status).toBe(201)
        yield* postgres.pause
        const asked = yield* Clock.currentTimeMillis
        const answers = yield* Effect.all(
          [
            ask("/validate", { agent: "Librarian" }, { "x-request-id": "away-1" }),
            ask("/session/start", { agent: "Librarian", session_id: "s" }, { "x-request-id": "away-2" }),
            ask("/session/end", { session_id: "s" }, { "x-request-id": "away-3" }),
            ask("/certificates", { agent: "Scout" }),
            put("/badges/Scout/trusted")
          ],
          { concurrency: "unbounded" }
        )
        expect((yield* Clock.currentTimeMillis) - asked).toBeLessThan(12_000)
        for (const answer of answers) {
          expect([answer.status, answer.body["error"]]).toMatchObject([503, { code: "database_unavailable" }])
        }
        yield* postgres.resume
        const rows = yield* rowsOnce(
          postgres.url,
          "select action, result from gatekeeper.audit_log where request_id like 'away-%' and result = 'DENIED' order by request_id",
          [],
          3
        )
        expect(rows.map((row) => row["action"])).toEqual(["certificate.validate", "session.start", "session.end"])
        const session = randomUUID()
        expect((yield* ask("/session/start", { agent: "Librarian", session_id: session })).status).toBe(200)
        // What was denied is not done afterwards, when the server reads what waited for it.
        expect(yield* rowsOf(postgres.url, "select from guardian.certificate where agent = 'Scout'")).toEqual([])
        expect(yield* rowsOf(postgres.url, "select from guardian.agent_badges")).toEqual([])
      }),
    60_000
  )

  it.scopedLive(
    "ends silent sessions as expired, once, by whichever guardian comes first; a heartbeat keeps one alive",
    () =>
      Effect.gen(function* () {
        const url = yield* migratedDatabase
        const { ask } = yield* start(url, { GUARDIAN_SESSION_TIMEOUT: "2s" })
        yield* start(url, { GUARDIAN_SESSION_TIMEOUT: "2s" })
        yield* ask("/certificates", { agent: "Librarian" })
        yield* ask("/session/start", { agent: "Librarian", session_id: "silent" }, { "x-request-id": "silent-start" })
        yield* ask("/session/start", { agent: "Librarian", session_id: "alive" })
        for (let beat = 0; beat < 8; beat++) {
          yield* Effect.sleep("500 millis")
          expect((yield* ask("/session/heartbeat", { session_id: "alive" })).status).toBe(200)
        }
        const late = yield* ask("/session/heartbeat", { session_id: "silent" })
        expect([late.status, late.body["error"]]).toMatchObject([409, { code: "session_over" }])
        const told = yield* rowsOnce(
          url,
          "select resource, request_id from gatekeeper.audit_log where action = 'session.expire'",
          [],
          1
        )
        expect(told).toEqual([{ resource: "sessions/Librarian/silent", request_id: "silent-start" }])
        expect((yield* ask("/sessions?active=true")).body["sessions"]).toMatchObject([{ session_id: "alive" }])
      }),
    60_000
  )
})
