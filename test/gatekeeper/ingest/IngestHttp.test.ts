import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { AuditIngest } from "../../../src/audit/ingest/AuditIngest.ts"
import { ingestEvents } from "../../../src/gatekeeper/ingest/IngestHttp.ts"
import { accessControlFixture } from "../../support/AccessControlFixture.ts"
import { serving } from "../../support/GatekeeperServing.ts"

it.scopedLive("a batch lets other requests run while it is read", () =>
  Effect.gen(function* () {
    const events = Array.from({ length: 1_000 }, (_, index) => ({
      id: `event ${index}`,
      action: "deploy",
      resource: "sites/a",
      reason: "x".repeat(900)
    }))
    let turns = 0
    let accepted = 0
    const url = yield* Effect.flatMap(ingestEvents, serving).pipe(
      Effect.provideService(AuditIngest, {
        ingest: (_, valid) =>
          Effect.sync(() => {
            accepted = valid.length
            clearImmediate(immediate)
            return []
          })
      })
    )
    const count = () => {
      turns += 1
      immediate = setImmediate(count)
    }
    let immediate = setImmediate(count)
    const answer = yield* Effect.promise(() => fetch(url, { method: "POST", body: JSON.stringify({ events }) }))
    expect(answer.status).toBe(200)
    expect(accepted).toBe(1_000)
    // The body itself arrives in about twenty chunks.
    expect(turns).toBeGreaterThan(110)
  }).pipe(Effect.provide(accessControlFixture("Admin").access))
)
