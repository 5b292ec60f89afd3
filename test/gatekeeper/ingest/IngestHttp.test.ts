import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { AccessControl } from "../../../src/gatekeeper/AccessControl.ts"
import { ingestEvents } from "../../../src/gatekeeper/ingest/IngestHttp.ts"
import { scene } from "../../support/AccessControlFixture.ts"
import { serving } from "../../support/GatekeeperServing.ts"

it.scopedLive("a batch lets others go first while it is read", () =>
  Effect.gen(function* () {
    const events = Array.from({ length: 1_000 }, (_, index) => ({
      id: `event ${index}`,
      action: "deploy",
      resource: "sites/a",
      reason: "x".repeat(900)
    }))
    let turns = 0
    let taken = 0
    const url = yield* serving(
      ingestEvents(yield* AccessControl, {
        ingest: (_, valid) =>
          Effect.sync(() => {
            taken = valid.length
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
    expect(taken).toBe(1_000)
    // The body itself comes in some twenty pieces.
    expect(turns).toBeGreaterThan(110)
  }).pipe(Effect.provide(scene("Admin").access))
)
