import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { signingKey } from "../support/Guardian.ts"
import { program } from "../support/Program.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"

const readerSessions = "select pid from pg_stat_activity where application_name = 'gravitas reader' and state <> 'idle'"

describe("callers that read the trail while it is slow", () => {
  it.scopedLive("take no session from the guardian's decisions, and the server ends their statements", () =>
    Effect.gen(function* () {
      const url = yield* migratedDatabase
      const running = yield* program({
        environment: {
          DATABASE_URL: Redacted.value(url),
          JWT_SECRET_KEY: signingSecret,
          GUARDIAN_SIGNING_KEY: signingKey
        }
      })
      const [gatekeeper, guardian] = [yield* running.url("gatekeeper"), yield* running.url("guardian")]
      const token = yield* Effect.promise(() => tokenOf("Supervisor_Managed_Agent"))
      const slow = yield* connect({ url, applicationName: "slow" })
      yield* slow.query("begin")
      yield* slow.query("lock table gatekeeper.audit_log in access exclusive mode")

      let answered = 0
      const read = Effect.tap(request(`${gatekeeper}/audit/events`, { token }), () =>
        Effect.sync(() => {
          answered += 1
        })
      )
      const readers = yield* Effect.fork(
        Effect.all(
          Array.from({ length: 40 }, () => read),
          { concurrency: 40 }
        )
      )
      yield* Effect.repeat(Effect.delay(rowsOf(url, readerSessions), "20 millis"), {
        until: ({ length }) => length > 0
      })
      const issued = yield* request(`${guardian}/certificates`, { token, body: { agent: "Librarian" } })
      expect([issued.status, answered]).toEqual([201, 0])
      expect((yield* rowsOf(url, readerSessions)).length).toBeLessThanOrEqual(2)

      const answers = yield* Fiber.join(readers)
      expect(answers.map(({ body, status }) => [status, body["error"]])).toEqual(
        answers.map(() => [503, expect.objectContaining({ code: "trail_unreachable" })])
      )
      // The table is still locked.
      yield* Effect.repeat(Effect.delay(rowsOf(url, readerSessions), "50 millis"), {
        until: ({ length }) => length === 0
      })
      yield* slow.query("rollback")
      expect((yield* request(`${gatekeeper}/audit/events`, { token })).status).toBe(200)
    })
  )
})
