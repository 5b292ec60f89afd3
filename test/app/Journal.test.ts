import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { program } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { testPostgres } from "../support/TestPostgres.ts"

const start = (home: string, databaseUrl: Redacted.Redacted, environment: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const running = yield* program({
      args: ["gatekeeper"],
      environment: {
        GRAVITAS_HOME: home,
        DATABASE_URL: Redacted.value(databaseUrl),
        JWT_SECRET_KEY: signingSecret,
        AUDIT_QUEUE_CAPACITY: "40",
        SHUTDOWN_DEADLINE: "3s",
        ...environment
      }
    })
    const url = yield* running.url("gatekeeper")
    const token = yield* Effect.promise(() => tokenOf("Librarian"))
    const admin = yield* Effect.promise(() => tokenOf("dan_flory"))
    return {
      running,
      url,
      admin,
      ask: request(`${url}/validate`, { token, body: { action: "read", resource: "vaults/a" } }),
      pipeline: request(`${url}/audit/pipeline`, { token: admin })
    }
  })

const journalsOf = (home: string) =>
  Effect.promise(() => Fs.readdir(Path.join(home, "journal"))).pipe(
    Effect.map((names) => names.filter((name) => name !== "quarantine"))
  )

const listOf = (value: unknown): ReadonlyArray<Record<string, unknown>> =>
  Array.isArray(value) ? value.map((one) => ({ ...one })) : []

describe("with PostgreSQL away", () => {
  it.scopedLive(
    "decisions go on past what the memory holds, through a SIGTERM, and each is in the trail once after the next start",
    () =>
      Effect.gen(function* () {
        const home = yield* temporaryHome
        const postgres = yield* testPostgres()
        const first = yield* start(home, postgres.url)
        const answered: Array<unknown> = [(yield* first.ask).body["audit_id"]]
        yield* postgres.stop
        for (let n = 0; n < 200; n++) {
          const answer = yield* first.ask
          expect(answer.status).toBe(200)
          answered.push(answer.body["audit_id"])
        }
        expect(yield* request(`${first.url}/readyz`)).toMatchObject({
          status: 200,
          body: { status: "degraded", checks: { audit: { accepting: true } } }
        })
        // Still reported while the table cannot be read.
        const during = yield* first.pipeline
        expect(during).toMatchObject({ status: 200, body: { sources: null, process: { accepting: true } } })
        expect(String(during.body["problem"])).toContain("the audit trail cannot be read")
        const unread = yield* request(`${first.url}/audit/events`, { token: first.admin })
        expect(unread.status).toBe(503)

        yield* first.running.signal("SIGTERM")
        expect((yield* first.running.ended("4 seconds")).code).toBe(0)
        expect(first.running.output()).toMatch(/audit events are not in the database yet and stay in the journal/)
        expect(yield* journalsOf(home)).toHaveLength(1)

        yield* Effect.orDie(postgres.start)
        const second = yield* start(home, postgres.url)
        const balanced = yield* second.pipeline.pipe(
          Effect.filterOrFail(({ body }) => listOf(body["sources"]).some((one) => one["standing"] === "signed off")),
          Effect.retry(Schedule.spaced("100 millis")),
          Effect.timeout("20 seconds")
        )
        const sources = listOf(balanced.body["sources"])
        expect(sources).toHaveLength(2)
        for (const one of sources) expect(one).toMatchObject({ lost: 0, quarantined: 0, unaccounted: 0, counted: true })
        const rows = yield* rowsOf(
          postgres.url,
          "select id from gatekeeper.audit_log where result = 'ALLOWED' and resource = 'vaults/a'"
        )
        expect(rows.map((row) => row["id"]).toSorted()).toEqual(answered.toSorted())
        // What was allowed, and could not be given.
        const withdrawn = yield* rowsOf(
          postgres.url,
          `select metadata->>'audit_id' as id from gatekeeper.audit_log
           where result = 'WITHDRAWN' and resource = 'audit/events'`
        )
        expect(withdrawn).toEqual([{ id: Reflect.get(Object(unread.body["error"]), "audit_id") }])
        yield* second.running.signal("SIGTERM")
        expect((yield* second.running.ended("4 seconds")).code).toBe(0)
        expect(yield* journalsOf(home)).toEqual([])
      }),
    90_000
  )

  it.scopedLive(
    "in the mode commit no answer is given, readiness says so, and what was recorded is withdrawn",
    () =>
      Effect.gen(function* () {
        const home = yield* temporaryHome
        const postgres = yield* testPostgres()
        const gatekeeper = yield* start(home, postgres.url, {
          AUDIT_DURABILITY: "commit",
          AUDIT_COMMIT_DEADLINE: "200ms"
        })
        expect((yield* gatekeeper.ask).status).toBe(200)
        yield* postgres.stop
        const refused = yield* gatekeeper.ask
        expect(refused).toMatchObject({ status: 503, body: { error: { code: "audit_unavailable" } } })
        expect(JSON.stringify(refused.body)).toContain("outcome is unknown")
        yield* request(`${gatekeeper.url}/readyz`).pipe(
          Effect.filterOrFail(({ status }) => status === 503),
          Effect.retry(Schedule.spaced("50 millis")),
          Effect.timeout("20 seconds")
        )
        yield* Effect.orDie(postgres.start)
        const rows = yield* rowsOf(postgres.url, "select result from gatekeeper.audit_log order by id").pipe(
          Effect.filterOrFail((rows) => rows.length === 3),
          Effect.retry(Schedule.spaced("100 millis")),
          Effect.timeout("20 seconds")
        )
        expect(rows.map((row) => row["result"])).toEqual(["ALLOWED", "ALLOWED", "WITHDRAWN"])
      }),
    90_000
  )
})
