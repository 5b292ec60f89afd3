import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { request, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { signingKey } from "../support/Guardian.ts"
import { program } from "../support/Program.ts"
import { gatekeeperOn, portOf, sourcesOf, until } from "../support/RemoteTrail.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { freshDatabase, migratedDatabase } from "../support/TestDatabase.ts"
import { insecureUnderTest } from "../support/Tokens.ts"

const questions = {
  guardian: ["/validate", { agent: "Scout" }],
  router: ["/v1/chat/completions", { model: "echo", messages: [{ role: "user", content: "hello" }] }]
} as const

describe.each(["guardian", "router"] as const)("gravitas %s", (service) => {
  it.scopedLive(
    "is not ready before its trail is open; keeps it through a gatekeeper that starts after it, and signs off in its own name",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* migratedDatabase
        // A port that is free: the gatekeeper that had it is gone.
        const gone = yield* gatekeeperOn(databaseUrl)
        yield* gone.running.signal("SIGTERM")
        yield* gone.running.ended()
        const running = yield* program({
          args: [service],
          environment: {
            GRAVITAS_HOME: yield* temporaryHome,
            DATABASE_URL: Redacted.value(databaseUrl),
            JWT_SECRET_KEY: signingSecret,
            GATEKEEPER_URL: gone.url
          }
        })
        const url = yield* running.url(service)
        expect(running.output()).toContain("The audit trail is kept by the gatekeeper, which does not answer yet")
        // Its database answers; without a trail it decides nothing.
        const [path, body] = questions[service]
        const token = yield* Effect.promise(() => tokenOf("dan_flory"))
        expect(yield* request(`${url}${path}`, { token, body })).toMatchObject({
          status: 503,
          body: { error: { code: "audit_unavailable" } }
        })
        const ready = request(`${url}/readyz`)
        expect(yield* ready).toMatchObject({
          status: 503,
          body: { status: "unavailable", checks: { database: true, audit: { accepting: false, drain: "retrying" } } }
        })
        expect((yield* request(`${url}/healthz`)).status).toBe(200)
        yield* gatekeeperOn(databaseUrl, portOf(gone.url))
        yield* until(ready, ({ status }) => status === 200)
        yield* until(sourcesOf(databaseUrl), (rows) => rows.length === 1)
        yield* running.signal("SIGTERM")
        expect((yield* running.ended()).code).toBe(0)
        expect(yield* sourcesOf(databaseUrl)).toMatchObject([{ identity: `service:${service}`, signed_off_seq: 0 }])
      }),
    120_000
  )

  it.scopedLive(
    "in production has nothing but its key, and says which command makes it known while it waits",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* freshDatabase
        const gatekeeper = yield* gatekeeperOn(databaseUrl)
        const running = yield* program({
          args: [service],
          environment: {
            NODE_ENV: "production",
            ALLOW_INSECURE: insecureUnderTest,
            DATABASE_URL: Redacted.value(databaseUrl),
            GUARDIAN_SIGNING_KEY: signingKey,
            GATEKEEPER_URL: gatekeeper.url
          }
        })
        yield* running.printed(new RegExp(`is not enrolled.*gravitas service enroll ${service}`))
        expect((yield* request(`${yield* running.url(service)}/readyz`)).status).toBe(503)
      }),
    60_000
  )
})
