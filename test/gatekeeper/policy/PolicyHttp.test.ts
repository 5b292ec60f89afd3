import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { AccessControl } from "../../../src/gatekeeper/AccessControl.ts"
import { explainAccess } from "../../../src/gatekeeper/policy/PolicyHttp.ts"
import { full, scene } from "../../support/AccessControlFixture.ts"
import { serving } from "../../support/GatekeeperServing.ts"
import { request } from "../../support/Gravitas.ts"

describe("POST /explain", () => {
  it.scopedLive("withdraws the permission to read of another when the trail does not take the reading", () =>
    Effect.gen(function* () {
      const { access, rows, withdrawn } = scene("Admin", 1)
      const url = yield* AccessControl.pipe(
        Effect.flatMap((control) => serving(explainAccess(control))),
        Effect.provide(access)
      )
      const answer = yield* request(url, { body: { resource: "record/1", ghost_id: "alice" } })
      expect(answer.status).toBe(503)
      expect(rows).toMatchObject([{ ghostId: "Admin", action: "read", resource: "policy", result: "ALLOWED" }])
      expect(withdrawn).toEqual([["Admin", "policy", full.message]])
    })
  )
})
