import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Gravitas, request, rowNamedBy } from "../support/Gravitas.ts"
import { call, policyFile } from "../support/PolicyCalls.ts"

layer(Gravitas.layer({ environment: { ACCESS_POLICY_PATH: policyFile } }), {
  timeout: "60 seconds",
  excludeTestServices: true
})("POST /explain", (it) => {
  it.effect("returns every rule of the caller's groups, and why each does or does not match", () =>
    Effect.gen(function* () {
      const question = { action: "execute", resource: "shells/l3/large" }
      const answer = yield* call("POST", "/explain", "Scout", question)
      expect(answer.status).toBe(200)
      expect(answer.body).toMatchObject({
        allowed: false,
        ghost_id: "Scout",
        ...question,
        groups: ["scout"],
        matched: null,
        rules: [
          {
            group: "scout",
            rule: 1,
            effect: "allow",
            matches: false,
            decides: false,
            why: 'the resource does not lie below "shells/l1"'
          },
          {
            rule: 2,
            matches: false,
            why: 'the action is not "read"; the resource is not "vaults/public"'
          }
        ]
      })
      expect(answer.body["policy_version"]).toMatch(/^[0-9a-f]{12}$/)
      expect(yield* rowNamedBy(answer)).toMatchObject({
        action: "explain",
        resource: "policy",
        ghost_id: "Scout",
        result: "ALLOWED",
        metadata: { ghost_id: "Scout", ...question }
      })
    })
  )

  it.effect("explains another ghost's access only to a caller that the policy lets read it", () =>
    Effect.gen(function* () {
      const question = { action: "read", resource: "vaults/a", ghost_id: "Librarian" }
      const denied = yield* call("POST", "/explain", "Scout", question)
      expect(denied.status).toBe(403)
      expect(yield* rowNamedBy(denied)).toMatchObject({ ghost_id: "Scout", resource: "policy", result: "DENIED" })
      const told = yield* call("POST", "/explain", "Supervisor_Managed_Agent", question)
      expect(told.body).toMatchObject({
        allowed: true,
        ghost_id: "Librarian",
        matched: { group: "librarian", rule: 2 }
      })
      expect((told.body["rules"] as ReadonlyArray<unknown>).length).toBe(4)
    })
  )

  it.effect("records malformed and unauthenticated requests", () =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      for (const body of [{}, { resource: "a", ghost_id: 7 }, { resource: "a", ghost_id: "g".repeat(101) }, "{"]) {
        const answer = yield* call("POST", "/explain", "Scout", body)
        expect(answer.status).toBe(422)
        expect(yield* rowNamedBy(answer)).toMatchObject({ action: "explain", ghost_id: "Scout", result: "INVALID" })
      }
      const unknown = yield* request(`${gatekeeper}/explain`, { body: { resource: "a" } })
      expect(unknown.status).toBe(401)
      expect(yield* rowNamedBy(unknown)).toMatchObject({ ghost_id: null, result: "UNAUTHENTICATED" })
    })
  )
})
