import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../../src/audit/AuditLog.ts"
import { AuditReader } from "../../src/audit/AuditReader.ts"
import { AuditIngest } from "../../src/audit/ingest/AuditIngest.ts"
import { AuditLedger } from "../../src/audit/sources/AuditLedger.ts"
import { GatekeeperAccess } from "../../src/gatekeeper/GatekeeperAccess.ts"
import { ingestEvents } from "../../src/gatekeeper/ingest/IngestHttp.ts"
import { PolicyInForce } from "../../src/gatekeeper/policy/PolicyInForce.ts"
import { policyRoutes } from "../../src/gatekeeper/policy/PolicyOperations.ts"
import { trailRoutes } from "../../src/gatekeeper/trail/TrailOperations.ts"
import { accessControlFixture } from "../support/AccessControlFixture.ts"
import { serving, servingRoutes } from "../support/GatekeeperServing.ts"

const unused = Effect.die("the test does not need it")

const trail = Layer.mergeAll(
  Layer.succeed(AuditLog, { record: () => unused, withdraw: () => unused, accepting: unused, status: unused }),
  Layer.mock(AuditLedger, {})
)

/** Each route over work that never ends. */
const cases = [
  {
    route: "POST /policy/reload",
    resource: "policy",
    url: (work: Effect.Effect<never>) =>
      servingRoutes(policyRoutes).pipe(
        Effect.provideService(PolicyInForce, {
          current: unused,
          now: () => {
            throw new Error("the test does not need it")
          },
          refused: unused,
          reload: () => work
        })
      )
  },
  {
    route: "GET /audit/events",
    resource: "audit/events",
    url: (work: Effect.Effect<never>) =>
      servingRoutes(trailRoutes).pipe(Effect.provideService(AuditReader, { events: () => work }), Effect.provide(trail))
  },
  {
    route: "POST /audit/events",
    resource: "audit/events",
    body: JSON.stringify({ events: [{ id: "1", action: "read", resource: "record/1" }] }),
    url: (work: Effect.Effect<never>) =>
      Effect.flatMap(ingestEvents, serving).pipe(Effect.provideService(AuditIngest, { ingest: () => work }))
  }
]

describe("The permission of a caller that leaves before the answer is withdrawn", () => {
  for (const { body, resource, route, url } of cases) {
    it.scopedLive(route, () => {
      const { access, rows, withdrawn } = accessControlFixture("Admin")
      return Effect.gen(function* () {
        const begun = yield* Deferred.make<void>()
        const base = yield* url(Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never))
        const leaving = new AbortController()
        const [method, path] = route.split(" ")
        fetch(`${base}${path}`, {
          method: String(method),
          signal: leaving.signal,
          ...(body === undefined ? {} : { body })
        }).catch(() => undefined)
        yield* Deferred.await(begun)
        leaving.abort()
        yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => withdrawn.length > 0 })
        expect(rows).toMatchObject([{ ghostId: "Admin", resource, result: "ALLOWED" }])
        expect(withdrawn).toEqual([["Admin", resource, "the caller left before the answer"]])
      }).pipe(Effect.provide(Layer.provideMerge(GatekeeperAccess.layer, access)))
    })
  }
})
