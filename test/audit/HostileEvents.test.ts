import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Runtime from "effect/Runtime"
import type { AuditEvent } from "../../src/domain/AuditEvent.ts"
import { anEvent } from "../support/AuditEvents.ts"
import { gatekeeperDatabase, openTrail, query, recordedIds, settled } from "../support/Trail.ts"

const anything = FastCheck.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withObjectString: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true
})

/** Any code units: NUL, controls, quotes, backslashes and lone surrogates among them. */
const text = FastCheck.array(
  FastCheck.oneof(FastCheck.integer({ min: 0, max: 0xffff }), FastCheck.constantFrom(0, 9, 10, 13, 34, 92, 0xd800)),
  { maxLength: 400 }
).map((units) => String.fromCharCode(...units))

const field = FastCheck.oneof(text, anything)

const hostileEvent = FastCheck.record({
  action: field,
  resource: field,
  ghostId: field,
  shellId: field,
  result: field,
  reason: field,
  requestId: field,
  metadata: FastCheck.oneof(anything, FastCheck.dictionary(text, FastCheck.oneof(text, anything)))
}).map((fields): AuditEvent => Object.assign({ ...anEvent }, fields))

it.scopedLive("properties that throw cost no row where the event belongs to a traced request either", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const trail = yield* openTrail(url, { linger: 0 })
    const event = Object.defineProperty({ ...anEvent }, "metadata", {
      enumerable: true,
      get: () => {
        throw new Error("no")
      }
    })
    const headers = { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" }
    const request = HttpServerRequest.fromWeb(new Request("http://127.0.0.1/validate", { headers }))
    const id = yield* trail.log.record(event).pipe(Effect.provideService(HttpServerRequest.HttpServerRequest, request))
    yield* settled(trail.log)
    expect(yield* query(url, "select id, metadata, marks from gatekeeper.audit_log")).toEqual([
      { id, metadata: { trace_id: "4bf92f3577b34da6a3ce929d0e0e4736" }, marks: ["metadata:unreadable"] }
    ])
  })
)

it.scopedLive("no caller can make its own row vanish: any value in any field gives exactly one row", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const trail = yield* openTrail(url, { linger: 0 })
    const runtime = yield* Effect.runtime<never>()
    let recorded = 0
    const property = FastCheck.asyncProperty(FastCheck.array(hostileEvent, { minLength: 1, maxLength: 20 }), (events) =>
      Runtime.runPromise(runtime)(
        Effect.gen(function* () {
          const before = recorded
          const ids = yield* Effect.forEach(events, (event) => trail.log.record(event))
          recorded += ids.length
          const status = yield* settled(trail.log)
          expect(status.counters).toMatchObject({ committed: before + ids.length, deadLettered: 0 })
          expect(yield* recordedIds(url)).toEqual(expect.arrayContaining(ids))
        })
      )
    )
    yield* Effect.promise(() => FastCheck.assert(property, { numRuns: 40 }))
    expect((yield* recordedIds(url)).length).toBe(recorded)
  })
)

it.scopedLive("a number as shell id, a resource over 255 characters and a NUL byte are recorded, and marked", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const trail = yield* openTrail(url)
    yield* trail.log.record(Object.assign({ ...anEvent }, { shellId: 123 }))
    yield* trail.log.record({ ...anEvent, resource: "r".repeat(300) })
    yield* trail.log.record({ ...anEvent, ghostId: "a\0b", metadata: { "k\0": "v\0" } })
    yield* trail.log.record({ ...anEvent, metadata: JSON.parse(`${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}`) })
    yield* settled(trail.log)
    const rows = yield* query(
      url,
      "select shell_id, char_length(resource) as length, ghost_id, marks from gatekeeper.audit_log order by id"
    )
    expect(rows).toEqual([
      { shell_id: "123", length: 15, ghost_id: "Scout", marks: ["shell_id:converted"] },
      { shell_id: null, length: 255, ghost_id: "Scout", marks: ["resource:truncated"] },
      { shell_id: null, length: 15, ghost_id: "a\ufffdb", marks: ["ghost_id:cleaned", "metadata:cleaned"] },
      { shell_id: null, length: 15, ghost_id: "Scout", marks: ["metadata:depth"] }
    ])
  })
)
