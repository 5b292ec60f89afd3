import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { request, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { program } from "../support/Program.ts"
import { freshDatabase } from "../support/TestDatabase.ts"

describe("guardian and router without a gatekeeper since their start", () => {
  it.scopedLive(
    "are not ready, and say why, for as long as their trail takes no event; then they are",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* freshDatabase
        const start = (args: ReadonlyArray<string>, environment: Record<string, string>) =>
          program({
            args,
            environment: { DATABASE_URL: Redacted.value(databaseUrl), JWT_SECRET_KEY: signingSecret, ...environment }
          })
        const gone = yield* start(["gatekeeper"], {})
        const gatekeeper = yield* gone.url("gatekeeper")
        yield* gone.signal("SIGTERM")
        yield* gone.ended()
        const others = yield* start(["guardian", "router"], { GATEKEEPER_URL: gatekeeper })
        const urls = [yield* others.url("guardian"), yield* others.url("router")]
        const token = yield* Effect.promise(() => tokenOf("Librarian"))
        for (const url of urls) {
          expect((yield* request(`${url}/readyz`)).body).toMatchObject({
            status: "unavailable",
            checks: { database: true }
          })
          const health = yield* request(`${url}/health`)
          expect(health).toMatchObject({ status: 503, body: { status: "unhealthy", database: "connected" } })
          expect(health.body["warnings"]).toEqual([expect.stringContaining("the audit trail takes no event")])
        }
        expect((yield* request(`${urls[0]}/stats`, { token })).status).toBe(503)

        yield* start(["gatekeeper"], { GATEKEEPER_PORT: new URL(gatekeeper).port })
        for (const url of urls) {
          yield* request(`${url}/readyz`).pipe(
            Effect.filterOrFail(({ status }) => status === 200),
            Effect.retry(Schedule.spaced("200 millis").pipe(Schedule.upTo("20 seconds")))
          )
          expect((yield* request(`${url}/health`)).body).toMatchObject({ status: "healthy" })
        }
      }),
    120_000
  )
})
