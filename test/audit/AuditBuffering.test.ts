import { expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { anEvent } from "../support/AuditEvents.ts"
import { gatekeeperDatabase, openTrail, query, recordedIds, recordMany } from "../support/Trail.ts"

it.scopedLive("record returns in under 5 ms while the store is blocked", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const trail = yield* openTrail(url, { shutdownDeadline: "50 millis" }, (store) => ({
      ...store,
      append: () => Effect.never
    }))
    yield* trail.log.record(anEvent)
    yield* Effect.sleep("50 millis")
    const durations = yield* Effect.forEach(Array.from({ length: 501 }), () =>
      Effect.map(Effect.timed(trail.log.record(anEvent)), ([duration]) => Duration.toMillis(duration))
    )
    const median = durations.toSorted((a, b) => a - b)[250]
    expect(median).toBeLessThan(5)
    expect((yield* trail.log.status).depth).toBe(502)
    expect(yield* recordedIds(url)).toEqual([])
  })
)

it.scopedLive("the row is in the database after a short delay", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const trail = yield* openTrail(url)
    const id = yield* trail.log.record(anEvent)
    yield* Effect.sleep("500 millis")
    const rows = yield* query(url, "select id, ghost_id, seq, metadata from gatekeeper.audit_log")
    expect(rows).toEqual([{ id, ghost_id: "Scout", seq: "1", metadata: { complexity: 5 } }])
  })
)

it.scopedLive("a shutdown flushes what is queued", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const trail = yield* openTrail(url, { linger: "10 seconds", batchSize: 1_000 })
    const ids = yield* recordMany(trail.log, 2_500)
    yield* trail.shutdown
    expect(yield* recordedIds(url)).toEqual(ids)
    const sources = yield* query(url, "select last_seq, signed_off_seq, unwritten from gatekeeper.audit_source")
    expect(sources).toEqual([{ last_seq: "2500", signed_off_seq: "2500", unwritten: "0" }])
    expect(yield* Effect.flip(trail.log.record(anEvent))).toMatchObject({ reason: "closed" })
  })
)
