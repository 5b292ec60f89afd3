import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Gravitas, request, rowNamedBy, tokenOf } from "../support/Gravitas.ts"
import { policyText } from "../support/PolicyCalls.ts"
import { program } from "../support/Program.ts"

const directory = mkdtempSync(join(tmpdir(), "gravitas-open-"))
process.once("exit", () => rmSync(directory, { recursive: true, force: true }))
const openFile = join(directory, "open.yaml")
writeFileSync(openFile, policyText.replace("  Scout: [scout]\n", "  Scout: [scout]\n  anonymous: [scout]\n"))

describe("AUTH_DISABLED (fault 10)", () => {
  layer(Gravitas.layer({ environment: { ACCESS_POLICY_PATH: openFile, AUTH_DISABLED: "true" } }), {
    timeout: "60 seconds",
    excludeTestServices: true
  })((it) => {
    it.effect("makes everybody the ghost anonymous, who may do what the policy says, in rows that are marked", () =>
      Effect.gen(function* () {
        const { gatekeeper, program } = yield* Gravitas
        const token = yield* Effect.promise(() => tokenOf("Supervisor_Managed_Agent"))
        const cases = [
          { body: { action: "read", resource: "vaults/public" }, status: 200, result: "ALLOWED" },
          { body: { action: "read", resource: "vaults/public" }, token, status: 200, result: "ALLOWED" },
          { body: { action: "write", resource: "vaults/secret" }, token, status: 403, result: "DENIED" },
          { body: {}, status: 422, result: "INVALID" }
        ]
        for (const { result, status, ...asked } of cases) {
          const answer = yield* request(`${gatekeeper}/validate`, asked)
          expect(answer.status).toBe(status)
          expect(yield* rowNamedBy(answer)).toMatchObject({
            ghost_id: "anonymous",
            result,
            marks: expect.arrayContaining(["auth:disabled"])
          })
        }
        expect(program.stdout()).toContain("DANGER: AUTH_DISABLED=true")
        const health = yield* request(`${gatekeeper}/health`)
        expect(health.body["warnings"]).toEqual([expect.stringContaining("AUTH_DISABLED=true")])
      })
    )
  })
})

describe("a start with AUTH_DISABLED", () => {
  it.scopedLive("is refused where others could come in", () =>
    Effect.gen(function* () {
      const started = yield* program({ environment: { AUTH_DISABLED: "true", HOST: "0.0.0.0" } })
      expect((yield* started.ended()).code).toBe(1)
      expect(started.stderr()).toContain("AUTH_DISABLED: must not be true with HOST=0.0.0.0")
    })
  )
})
