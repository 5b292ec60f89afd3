import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { request, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { signingKey } from "../support/Guardian.ts"
import { program } from "../support/Program.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"

const session = { agent: "Librarian", session_id: "outliving-1" }

describe("a session", () => {
  it.scopedLive(
    "is the same session after its guardian was killed and started again (fault 11)",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* migratedDatabase
        const start = program({
          environment: {
            DATABASE_URL: Redacted.value(databaseUrl),
            JWT_SECRET_KEY: signingSecret,
            GUARDIAN_SIGNING_KEY: signingKey
          }
        })
        const token = yield* Effect.promise(() => tokenOf("Supervisor_Managed_Agent"))
        const first = yield* start
        const before = yield* first.url("guardian")
        expect((yield* request(`${before}/certificates`, { token, body: { agent: "Librarian" } })).status).toBe(201)
        expect((yield* request(`${before}/session/start`, { token, body: session })).status).toBe(200)
        yield* first.signalGroup("SIGKILL")
        yield* first.ended()

        const after = yield* Effect.flatMap(start, (second) => second.url("guardian"))
        expect((yield* request(`${after}/session/start`, { token, body: session })).status).toBe(409)
        const stats = yield* request(`${after}/stats?agent=Librarian`, { token })
        expect(stats.body).toMatchObject({ active_sessions: 1, completed_total: 0 })
        const ended = yield* request(`${after}/session/end`, { token, body: { session_id: session.session_id } })
        expect(ended).toMatchObject({ status: 200, body: { end_reason: "completed" } })
      }),
    90_000
  )
})
