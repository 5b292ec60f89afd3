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

const started = Effect.gen(function* () {
  const databaseUrl = yield* migratedDatabase
  const directory = yield* temporaryHome
  const path = Path.join(directory, "models.yaml")
  yield* Effect.promise(() => writeFile(path, models))
  const running = yield* program({
    directory,
    environment: {
      DATABASE_URL: Redacted.value(databaseUrl),
      JWT_SECRET_KEY: signingSecret,
      GUARDIAN_SIGNING_KEY: signingKey,
      GUARDIAN_SESSION_TIMEOUT: "2s",
      ROUTER_MODELS_PATH: path
    }
  })
  const guardian = yield* running.url("guardian")
  const router = yield* running.url("router")
  const token = yield* Effect.promise(() => tokenOf(agent))
  const certificate = yield* request(`${guardian}/certificates`, { token, body: { agent } })
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
      Effect.timeout("5 seconds"),
      Effect.orDie
    )
  const revoke = Effect.gen(function* () {
    // The row of a start is recorded after the start's last look at the certificate.
    yield* once("select from gatekeeper.audit_log where action = 'session.start' and result = 'ALLOWED'", [], 3)
    yield* Effect.sleep("300 millis")
    return yield* request(`${guardian}/certificates/${id}/revoke`, { token, body: {} })
  })
  return { chat, once, revoke }
})

describe("a certificate that is revoked while the router answers", () => {
  it.scopedLive(
    "a revocation ends answers at the next heartbeat: a stream is cut off, one that has not begun is refused",
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
