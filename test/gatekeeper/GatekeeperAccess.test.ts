import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../../src/audit/AuditLog.ts"
import { AuditReader } from "../../src/audit/AuditReader.ts"
import { AuditLedger } from "../../src/audit/sources/AuditLedger.ts"
import { InvalidRequest } from "../../src/contracts/ApiError.ts"
import { GatekeeperAccess } from "../../src/gatekeeper/GatekeeperAccess.ts"
import { trailRoutes } from "../../src/gatekeeper/trail/TrailOperations.ts"
import { fault, type Question } from "../../src/platform/http/Audited.ts"
import { accessControlFixture } from "../support/AccessControlFixture.ts"
import { servingRoutes } from "../support/GatekeeperServing.ts"
import { request } from "../support/Gravitas.ts"

const question: Question = {
  requestId: "r",
  authorization: undefined,
  event: "trail.read",
  action: "read",
  resource: "audit/events",
  facts: { query: "limit=1" }
}

describe("The gatekeeper's access", () => {
  it.effect("keeps the code of a failure that is not the caller's, and records it as DENIED", () =>
    Effect.gen(function* () {
      for (const failure of [
        { code: "trail_unreachable", message: "the database does not answer" } as const,
        { code: "access_denied", message: "not yours" } as const,
        fault
      ]) {
        const { access, rows } = accessControlFixture("Admin")
        const refusal = yield* Effect.flatMap(GatekeeperAccess, ({ refuse }) =>
          Effect.flip(refuse(question, failure))
        ).pipe(Effect.provide(Layer.provide(GatekeeperAccess.layer, access)))
        expect(refusal).toMatchObject(failure)
        expect(rows).toMatchObject([
          {
            action: "read",
            resource: "audit/events",
            result: "DENIED",
            reason: failure.message,
            facts: { query: "limit=1" }
          }
        ])
      }
    })
  )

  it.effect("answers with the message of a failure that is an error of the contract", () =>
    Effect.gen(function* () {
      const failure = new InvalidRequest({ reason: "the cursor is not one of this list" })
      const { access } = accessControlFixture("Admin")
      const refusals = yield* Effect.gen(function* () {
        const { authorize, refuse } = yield* GatekeeperAccess
        const { settle } = yield* authorize(question)
        return [yield* Effect.flip(refuse(question, failure)), yield* Effect.flip(settle(Effect.fail(failure)))]
      }).pipe(Effect.provide(Layer.provide(GatekeeperAccess.layer, access)))
      expect(refusals.map(({ code, message }) => [code, message])).toEqual([
        [failure.code, failure.message],
        [failure.code, failure.message]
      ])
    })
  )

  it.scopedLive("records the raw query of a request that reads the trail, also of one that is not valid", () =>
    Effect.gen(function* () {
      const { access, rows } = accessControlFixture("Admin")
      const unused = Effect.die("the test does not need it")
      const url = yield* servingRoutes(trailRoutes).pipe(
        Effect.provideService(AuditReader, { events: () => Effect.succeed({ events: [], next: null }) }),
        Effect.provide([
          Layer.succeed(AuditLog, { record: () => unused, withdraw: () => unused, accepting: unused, status: unused }),
          Layer.mock(AuditLedger, {}),
          Layer.provide(GatekeeperAccess.layer, access)
        ])
      )
      expect((yield* request(`${url}/audit/events?limit=2`)).status).toBe(200)
      expect((yield* request(`${url}/audit/events?limit=no`)).status).toBe(422)
      expect(rows).toMatchObject([
        { resource: "audit/events", result: "ALLOWED", facts: { query: "limit=2" } },
        { resource: "audit/events", result: "INVALID", facts: { query: "limit=no" } }
      ])
    })
  )
})
