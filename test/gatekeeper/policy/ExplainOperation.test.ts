import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { explainRoute } from "../../../src/gatekeeper/policy/ExplainOperation.ts"
import { accessControlFixture, full } from "../../support/AccessControlFixture.ts"
import { servingRoutes } from "../../support/GatekeeperServing.ts"
import { request } from "../../support/Gravitas.ts"

describe("POST /explain", () => {
  it.scopedLive("withdraws the permission to ask about another ghost when the trail does not accept the reading", () =>
    Effect.gen(function* () {
      const { access, rows, withdrawn } = accessControlFixture("Admin", 1)
      const url = yield* Effect.provide(servingRoutes(explainRoute), access)
      const answer = yield* request(`${url}/explain`, { body: { resource: "record/1", ghost_id: "alice" } })
      expect(answer.status).toBe(503)
      expect(rows).toMatchObject([{ ghostId: "Admin", action: "read", resource: "policy", result: "ALLOWED" }])
      expect(withdrawn).toEqual([["Admin", "policy", full.message]])
    })
  )
})
