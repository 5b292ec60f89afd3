import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { eventually } from "../support/Eventually.ts"
import { request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { program } from "../support/Program.ts"
import { testPostgres } from "../support/TestPostgres.ts"

const capacity = 40

const start = (shutdownDeadline = "25s", onFull = "refuse") =>
  Effect.gen(function* () {
    const postgres = yield* testPostgres()
    const running = yield* program({
      environment: {
        DATABASE_URL: Redacted.value(postgres.url),
        JWT_SECRET_KEY: signingSecret,
        // What is bounded here is the memory; test/app/Journal.test.ts has the journal.
        AUDIT_DURABILITY: "memory",
        AUDIT_QUEUE_CAPACITY: String(capacity),
        SHUTDOWN_DEADLINE: shutdownDeadline,
        AUDIT_ON_FULL: onFull
      }
    })
    const gatekeeper = yield* running.url("gatekeeper")
    const guardian = yield* running.url("guardian")
    const token = yield* Effect.promise(() => tokenOf("Librarian"))
    const ask = request(`${gatekeeper}/validate`, { token, body: { action: "read", resource: "vaults/a" } })
    return { postgres, running, gatekeeper, guardian, ask }
  })

/** Asks until `accepted` is true of the answer. */
const until = (url: string, accepted: (status: number) => boolean) =>
  eventually(request(url), ({ status }) => accepted(status), { every: "100 millis" })

for (const kind of ["stopped", "paused"] as const) {
  describe(`while PostgreSQL is ${kind}`, () => {
    it.scopedLive(
      "the gatekeeper decides within its bound, refuses past it, tells the truth, and writes each event once when it is back",
      () =>
        Effect.gen(function* () {
          const { postgres, running, gatekeeper, guardian, ask } = yield* start()
          const answered: Array<unknown> = []
          answered.push((yield* ask).body["audit_id"])
          yield* kind === "stopped" ? postgres.stop : postgres.pause

          // Within the bound: decisions go on.
          for (let n = 0; n < capacity / 2; n++) {
            const answer = yield* ask
            expect(answer.status).toBe(200)
            answered.push(answer.body["audit_id"])
          }
          const ready = yield* until(`${gatekeeper}/readyz`, (status) => status === 200)
          expect(ready.body).toMatchObject({ status: "degraded", checks: { database: false } })
          expect((yield* request(`${gatekeeper}/health`)).body).toMatchObject({
            status: "degraded",
            database: "disconnected"
          })
          expect((yield* request(`${guardian}/readyz`)).status).toBe(503)
          expect((yield* request(`${guardian}/health`)).body).toMatchObject({
            status: "unhealthy",
            database: "disconnected"
          })
          expect((yield* request(`${guardian}/healthz`)).status).toBe(200)

          // The trail cannot be read: an error, never an empty list.
          const events = yield* request(`${gatekeeper}/audit/events`, {
            token: yield* Effect.promise(() => tokenOf("dan_flory"))
          })
          expect(events.status).toBe(503)
          expect(events.body).toMatchObject({ error: { code: "trail_unreachable" } })

          // Past the bound: no decision without a record.
          let refused = yield* ask
          for (let n = 0; n < capacity && refused.status === 200; n++) {
            answered.push(refused.body["audit_id"])
            refused = yield* ask
          }
          expect(refused.status).toBe(503)
          expect(refused.body).toMatchObject({ error: { code: "audit_unavailable" } })
          expect(refused.headers.get("retry-after")).toBe("1")
          expect((yield* request(`${gatekeeper}/readyz`)).status).toBe(503)

          yield* kind === "stopped" ? Effect.orDie(postgres.start) : postgres.resume
          yield* until(`${gatekeeper}/readyz`, (status) => status === 200)
          yield* until(`${guardian}/readyz`, (status) => status === 200)
          expect((yield* ask).status).toBe(200)
          yield* running.signal("SIGTERM")
          expect((yield* running.ended()).code).toBe(0)
          const rows = yield* rowsOf(
            postgres.url,
            "select id from gatekeeper.audit_log where action = 'read' and resource = 'vaults/a'"
          )
          const written = rows.map((row) => row["id"])
          expect(new Set(written).size).toBe(written.length)
          expect(answered.filter((id) => !written.includes(id))).toEqual([])
          expect(written.length).toBe(answered.length + 1)
        }),
      90_000
    )
  })
}

describe("when PostgreSQL does not come back", () => {
  it.scopedLive(
    "the end keeps to its deadline, counts what was answered and not written, and is not clean",
    () =>
      Effect.gen(function* () {
        const { postgres, running, ask } = yield* start("2s")
        expect((yield* ask).status).toBe(200)
        yield* Effect.sleep("500 millis")
        yield* postgres.pause
        for (let n = 0; n < 5; n++) expect((yield* ask).status).toBe(200)
        yield* running.signal("SIGTERM")
        yield* running.signal("SIGTERM")
        const { code } = yield* running.ended("3 seconds")
        expect(code).toBe(75)
        expect(running.output()).toMatch(/5 audit events were answered and are NOT in the database/)
        yield* postgres.resume
      }),
    90_000
  )
})

describe("with AUDIT_ON_FULL=shed", () => {
  it.scopedLive(
    "the gatekeeper answers past its bound, and counts what will have no row",
    () =>
      Effect.gen(function* () {
        const { postgres, gatekeeper, ask } = yield* start("2s", "shed")
        yield* postgres.pause
        for (let n = 0; n < capacity + 10; n++) expect((yield* ask).status).toBe(200)
        const health = yield* request(`${gatekeeper}/health`)
        expect(health.body).toMatchObject({ audit: { depth: capacity, counters: { shed: 10, refused: 0 } } })
        expect((yield* request(`${gatekeeper}/readyz`)).status).toBe(200)
        yield* postgres.resume
      }),
    90_000
  )
})

describe("a second signal", () => {
  it.scopedLive(
    "does not cut short the writing of what was answered, and says how to",
    () =>
      Effect.gen(function* () {
        const { postgres, running, ask } = yield* start("12s")
        yield* postgres.pause
        for (let n = 0; n < 5; n++) expect((yield* ask).status).toBe(200)
        yield* running.signalGroup("SIGINT")
        yield* Effect.sleep("2500 millis")
        yield* running.signalGroup("SIGINT")
        yield* running.printed(/still stopping/)
        yield* postgres.resume
        expect((yield* running.ended("15 seconds")).code).toBe(0)
        const rows = yield* rowsOf(postgres.url, "select 1 from gatekeeper.audit_log")
        expect(rows.length).toBe(5)
      }),
    90_000
  )
})
