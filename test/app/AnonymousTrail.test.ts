import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { afterAll } from "vitest"
import { Gravitas, request, rowNamedBy } from "../support/Gravitas.ts"
import { project } from "../support/Program.ts"

const directory = mkdtempSync(join(tmpdir(), "gravitas-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const policy = join(directory, "open.yaml")
writeFileSync(
  policy,
  readFileSync(join(project, "config/access-policy.yaml"), "utf8").replace(
    "ghost_mappings:\n",
    "ghost_mappings:\n  anonymous: [services]\n"
  )
)

layer(Gravitas.layer({ environment: { ACCESS_POLICY_PATH: policy, AUTH_DISABLED: "true" } }), {
  timeout: "60 seconds",
  excludeTestServices: true
})("AUTH_DISABLED (fault 10)", (it) => {
  const isMarked = { marks: expect.arrayContaining(["auth:disabled"]) }

  it.effect("marks the rows of events from an unauthenticated caller, whatever ghost they name", () =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      const answer = yield* request(`${gatekeeper}/audit/events`, {
        body: { events: [{ id: "1", action: "deploy", resource: "sites/a", ghost_id: "Librarian", result: "ALLOWED" }] }
      })
      expect(yield* rowNamedBy(answer)).toMatchObject({ ghost_id: "anonymous", ...isMarked })
      const [brought] = Array.isArray(answer.body["results"]) ? answer.body["results"] : []
      expect(yield* rowNamedBy({ ...answer, body: { audit_id: brought.audit_id } })).toMatchObject({
        ghost_id: "Librarian",
        ...isMarked
      })
    })
  )

  it.effect("marks what is refused at the store, too", () =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      const refused = yield* request(`${gatekeeper}/audit/store/append`, { body: "{" })
      expect(refused.status).toBe(422)
      expect(yield* rowNamedBy(refused)).toMatchObject({ ghost_id: "anonymous", result: "INVALID", ...isMarked })
    })
  )
})
