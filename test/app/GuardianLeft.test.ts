import { randomUUID } from "node:crypto"
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { Gravitas, rowsOf } from "../support/Gravitas.ts"
import { type AskOptions, ask, issue, rowsUnder, signingKey } from "../support/Guardian.ts"

/** Asks, and leaves when the request's own statement waits for what `held` has locked; then lets it go on. */
const askAndLeave = (
  held: readonly [text: string, values: ReadonlyArray<unknown>],
  asking: (options: AskOptions) => Effect.Effect<unknown, never, Gravitas>
) =>
  Effect.gen(function* () {
    const { databaseUrl } = yield* Gravitas
    const requestId = `left-${randomUUID()}`
    const other = yield* connect({ url: databaseUrl, applicationName: "gravitas test" })
    yield* other.query("begin")
    yield* other.query(...held)
    const asked = yield* Effect.fork(asking({ headers: { "x-request-id": requestId } }))
    yield* rowsOf(
      databaseUrl,
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    ).pipe(
      Effect.filterOrFail((rows) => rows.length > 0),
      Effect.retry(Schedule.spaced("20 millis")),
      Effect.timeout("20 seconds"),
      Effect.orDie
    )
    yield* Fiber.interrupt(asked)
    // The guardian hears of it.
    yield* Effect.sleep("300 millis")
    yield* other.query("commit")
    return yield* rowsUnder(requestId, 2)
  })

layer(Gravitas.layer({ environment: { GUARDIAN_SIGNING_KEY: signingKey } }), {
  timeout: "60 seconds",
  excludeTestServices: true
})("An operation of the guardian whose caller leaves", (it) => {
  it.scoped("is done to its end and recorded: a session's start", () =>
    Effect.gen(function* () {
      const agent = `agent-${randomUUID()}`
      const { id } = yield* issue(agent)
      const rows = yield* askAndLeave(["select from guardian.certificate where jti = $1 for update", [id]], (options) =>
        ask("POST", "/session/start", { agent, session_id: agent }, options)
      )
      expect(rows.map((row) => [row["action"], row["result"]])).toEqual([
        ["execute", "ALLOWED"],
        ["session.start", "ALLOWED"]
      ])
      expect((yield* ask("GET", `/sessions?agent=${agent}&active=true`)).body["sessions"]).toHaveLength(1)
    })
  )

  it.scoped("is done to its end and recorded: a certificate's revocation", () =>
    Effect.gen(function* () {
      const agent = `agent-${randomUUID()}`
      const { id } = yield* issue(agent)
      const rows = yield* askAndLeave(["select from guardian.certificate where jti = $1 for update", [id]], (options) =>
        ask("POST", `/certificates/${id}/revoke`, {}, options)
      )
      expect(rows.map((row) => [row["action"], row["result"]])).toEqual([
        ["write", "ALLOWED"],
        ["certificate.revoke", "ALLOWED"]
      ])
      expect((yield* ask("POST", "/validate", { agent })).status).toBe(403)
    })
  )
})
