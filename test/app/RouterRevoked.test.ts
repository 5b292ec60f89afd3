import { writeFile } from "node:fs/promises"
import * as Path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { signingKey } from "../support/Guardian.ts"
import { program } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"

const models = `
providers:
  echo: { kind: echo }
shells:
  echo-slow: { provider: echo, model: echo-slow, tier: L1 }
  hangs: { provider: echo, model: echo-hangs, tier: L1 }
`

const agent = "Supervisor_Managed_Agent"

const policyOf = (groups: string) => `
groups:
  admin: { permissions: [{ action: "*", resource: "*" }] }
ghost_mappings:
  ${agent}: [admin]
  dan_flory: [${groups}]
`

const startedAs = (ghost: string, expiresIn: number) =>
  Effect.gen(function* () {
    const databaseUrl = yield* migratedDatabase
    const directory = yield* temporaryHome
    const path = Path.join(directory, "models.yaml")
    yield* Effect.promise(() => writeFile(path, models))
    const policy = Path.join(directory, "policy.yaml")
    yield* Effect.promise(() => writeFile(policy, policyOf("admin")))
    const running = yield* program({
      directory,
      environment: {
        DATABASE_URL: Redacted.value(databaseUrl),
        JWT_SECRET_KEY: signingSecret,
        GUARDIAN_SIGNING_KEY: signingKey,
        GUARDIAN_SESSION_TIMEOUT: "1m",
        ROUTER_MODELS_PATH: path,
        ACCESS_POLICY_PATH: policy
      }
    })
    const guardian = yield* running.url("guardian")
    const router = yield* running.url("router")
    const gatekeeper = yield* running.url("gatekeeper")
    const admin = yield* Effect.promise(() => tokenOf(agent))
    const certificate = yield* request(`${guardian}/certificates`, { token: admin, body: { agent: ghost } })
    const token = yield* Effect.promise(() => tokenOf(ghost, expiresIn))
    const id = String(certificate.body["id"])

    /** What the client gets of a minute's answer, and whether the connection was closed before its end. */
    const chat = (requestId: string, body: Readonly<Record<string, unknown>>) =>
      Effect.promise(async (signal) => {
        const answer = await fetch(`${router}/v1/chat/completions`, {
          method: "POST",
          headers: { authorization: `Bearer ${token}`, "x-request-id": requestId },
          body: JSON.stringify({ messages: [{ role: "user", content: "word ".repeat(300) }], ...body }),
          signal
        })
        let text = ""
        let isWhole = true
        const decoder = new TextDecoder()
        try {
          for await (const piece of answer.body ?? []) text += decoder.decode(piece, { stream: true })
        } catch {
          isWhole = false
        }
        return { status: answer.status, text, isWhole }
      })
    const once = (text: string, values: ReadonlyArray<unknown>, count: number) =>
      rowsOf(databaseUrl, text, values).pipe(
        Effect.filterOrFail((rows) => rows.length >= count),
        Effect.retry(Schedule.spaced("50 millis")),
        Effect.timeout("20 seconds"),
        Effect.orDie
      )
    const revoke = Effect.gen(function* () {
      // The row of a start is recorded after the start's last look at the certificate.
      yield* once("select from gatekeeper.audit_log where action = 'session.start' and result = 'ALLOWED'", [], 3)
      yield* Effect.sleep("300 millis")
      return yield* request(`${guardian}/certificates/${id}/revoke`, { token: admin, body: {} })
    })
    const withdraw = Effect.gen(function* () {
      yield* Effect.promise(() => writeFile(policy, policyOf("")))
      return yield* request(`${gatekeeper}/policy/reload`, { token: admin, body: {} })
    })
    return { chat, once, revoke, withdraw }
  })

const started = startedAs(agent, 3_600)

describe("a certificate that is revoked while the router answers", () => {
  it.scopedLive(
    "a revocation ends answers within seconds: a stream is cut off, one that has not begun is refused",
    () =>
      Effect.gen(function* () {
        const { chat, once, revoke } = yield* started
        const streamed = yield* Effect.fork(chat("revoked-1", { model: "echo-slow", stream: true }))
        const silent = yield* Effect.fork(chat("revoked-2", { model: "hangs", stream: true }))
        const whole = yield* Effect.fork(chat("revoked-3", { model: "echo-slow" }))
        expect(yield* revoke).toMatchObject({ status: 200, body: { sessions_ended: 3 } })
        const began = yield* Clock.currentTimeMillis

        const cut = yield* Fiber.join(streamed)
        expect(cut).toMatchObject({ status: 200, isWhole: false })
        expect(cut.text).toContain("word")
        expect(cut.text).not.toContain("[DONE]")
        for (const refused of [yield* Fiber.join(silent), yield* Fiber.join(whole)]) {
          expect(refused).toMatchObject({ status: 403, isWhole: true })
          expect(JSON.parse(refused.text)).toMatchObject({ error: { code: "session_refused" } })
        }
        expect((yield* Clock.currentTimeMillis) - began).toBeLessThan(5_000)

        const told =
          "select action, result, metadata from gatekeeper.audit_log where request_id = $1 and action like 'route%'"
        expect((yield* once(`${told} order by source, seq`, ["revoked-1"], 2)).at(-1)).toMatchObject({
          action: "route.aborted",
          metadata: { closed_by: "session_over" }
        })
        expect(yield* once(told, ["revoked-2"], 1)).toMatchObject([
          { action: "route", result: "DENIED", metadata: { code: "session_over" } }
        ])
      }),
    60_000
  )
})

describe("what else ends an answer in flight", () => {
  const outcome =
    "select metadata ->> 'closed_by' as by from gatekeeper.audit_log where request_id = $1 and action = 'route.aborted'"
  const session = "select end_reason from guardian.session where session_id like $1 and ended_at is not null"

  it.scopedLive(
    "an answer ends when its token expires, and the router ends the session in its own name",
    () =>
      Effect.gen(function* () {
        const { chat, once } = yield* startedAs("dan_flory", 5)
        const cut = yield* chat("expired-1", { model: "echo-slow", stream: true })
        expect(cut).toMatchObject({ status: 200, isWhole: false })
        expect(yield* once(outcome, ["expired-1"], 1)).toEqual([{ by: "token_expired" }])
        expect(yield* once(session, ["expired-1.%"], 1)).toEqual([{ end_reason: "completed" }])
        const beats = yield* once("select from gatekeeper.audit_log where action = 'session.heartbeat'", [], 0)
        expect(beats).toEqual([])
      }),
    60_000
  )

  it.scopedLive(
    "an answer ends when the policy withdraws the ghost's groups",
    () =>
      Effect.gen(function* () {
        const { chat, once, withdraw } = yield* startedAs("dan_flory", 3_600)
        const streamed = yield* Effect.fork(chat("withdrawn-1", { model: "echo-slow", stream: true }))
        yield* once("select from gatekeeper.audit_log where action = 'route' and request_id = 'withdrawn-1'", [], 1)
        expect(yield* withdraw).toMatchObject({ status: 200, body: { changed: true } })
        expect(yield* Fiber.join(streamed)).toMatchObject({ status: 200, isWhole: false })
        expect(yield* once(outcome, ["withdrawn-1"], 1)).toEqual([{ by: "access_withdrawn" }])
        expect(yield* once(session, ["withdrawn-1.%"], 1)).toEqual([{ end_reason: "completed" }])
      }),
    60_000
  )
})
