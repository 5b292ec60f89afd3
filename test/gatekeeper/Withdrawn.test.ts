import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { AccessControl } from "../../src/gatekeeper/AccessControl.ts"
import { ingestEvents } from "../../src/gatekeeper/ingest/IngestHttp.ts"
import { reloadPolicy } from "../../src/gatekeeper/policy/PolicyHttp.ts"
import { readEvents } from "../../src/gatekeeper/trail/TrailHttp.ts"
import { scene } from "../support/AccessControlFixture.ts"
import { serving } from "../support/GatekeeperServing.ts"

type Handler = (
  request: HttpServerRequest.HttpServerRequest
) => Effect.Effect<HttpServerResponse.HttpServerResponse, unknown>

const unused = Effect.die("not asked for")

/** Each handler over work that never ends, and says when it has begun. */
const handlers: ReadonlyArray<
  readonly [
    name: string,
    resource: string,
    (access: typeof AccessControl.Service, work: Effect.Effect<never>) => Handler,
    body?: string
  ]
> = [
  [
    "POST /policy/reload",
    "policy",
    (access, work) => reloadPolicy(access, { current: unused, refused: unused, reload: () => work })
  ],
  ["GET /audit/events", "audit/events", (access, work) => readEvents(access, { events: () => work })],
  [
    "POST /audit/events",
    "audit/events",
    (access, work) => ingestEvents(access, { ingest: () => work }),
    JSON.stringify({ events: [{ id: "1", action: "read", resource: "record/1" }] })
  ]
]

describe("A caller that was allowed and leaves before the answer", () => {
  for (const [name, resource, handlerOf, body] of handlers) {
    it.scopedLive(`has that withdrawn: ${name}`, () => {
      const { access, rows, withdrawn } = scene("Admin")
      return Effect.gen(function* () {
        const begun = yield* Deferred.make<void>()
        const work = Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never)
        const url = yield* serving(handlerOf(yield* AccessControl, work))
        const leaving = new AbortController()
        const method = body === undefined ? "GET" : "POST"
        fetch(url, { method, signal: leaving.signal, ...(body === undefined ? {} : { body }) }).catch(() => undefined)
        yield* Deferred.await(begun)
        leaving.abort()
        yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => withdrawn.length > 0 })
        expect(rows).toMatchObject([{ ghostId: "Admin", resource, result: "ALLOWED" }])
        expect(withdrawn).toEqual([["Admin", resource, "the caller left before the answer"]])
      }).pipe(Effect.provide(access))
    })
  }
})
