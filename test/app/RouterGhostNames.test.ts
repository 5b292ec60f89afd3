import { writeFile } from "node:fs/promises"
import * as Path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { eventually } from "../support/Eventually.ts"
import { request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { signingKey } from "../support/Guardian.ts"
import { program } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"

const models = `
providers:
  echo: { kind: echo }
shells:
  echo: { provider: echo, model: echo, tier: L1 }
`

const policy = `
groups:
  admin:
    permissions:
      - { action: "*", resource: "*" }
ghost_mappings:
  team/a: [admin]
  Scout: [admin]
`

/** Calls that must not open the breaker: it opens after five failures in a row. */
const calls = 7

describe("A ghost whose name the guardian does not accept", () => {
  it.scopedLive(
    "gets 403 session_refused and a row of the guardian, and other callers are still served",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* migratedDatabase
        const directory = yield* temporaryHome
        const modelsPath = Path.join(directory, "models.yaml")
        const policyPath = Path.join(directory, "policy.yaml")
        yield* Effect.promise(() => Promise.all([writeFile(modelsPath, models), writeFile(policyPath, policy)]))
        const running = yield* program({
          directory,
          environment: {
            DATABASE_URL: Redacted.value(databaseUrl),
            JWT_SECRET_KEY: signingSecret,
            GUARDIAN_SIGNING_KEY: signingKey,
            ROUTER_MODELS_PATH: modelsPath,
            ACCESS_POLICY_PATH: policyPath
          }
        })
        const guardian = yield* running.url("guardian")
        const router = yield* running.url("router")
        const chat = (token: string, requestId: string) =>
          request(`${router}/v1/chat/completions`, {
            token,
            headers: { "x-request-id": requestId },
            body: { model: "echo", messages: [{ role: "user", content: "hi" }] }
          })

        const unnamed = yield* Effect.promise(() => tokenOf("team/a"))
        for (let call = 0; call < calls; call++) {
          expect(yield* chat(unnamed, `team-${call}`)).toMatchObject({
            status: 403,
            body: { error: { code: "session_refused" } }
          })
        }
        const rows = yield* eventually(
          rowsOf(
            databaseUrl,
            "select action, resource, result, ghost_id from gatekeeper.audit_log where request_id = $1",
            [`team-${calls - 1}`]
          ),
          (found) => found.length >= 4,
          { every: "50 millis", within: "20 seconds" }
        )
        expect(rows).toContainEqual({
          action: "certificate.validate",
          resource: "certificates",
          result: "INVALID",
          ghost_id: "team/a"
        })
        expect(rows).toContainEqual(expect.objectContaining({ action: "route", result: "DENIED", ghost_id: "team/a" }))

        const scout = yield* Effect.promise(() => tokenOf("Scout"))
        yield* request(`${guardian}/certificates`, { token: scout, body: { agent: "Scout" } })
        expect((yield* chat(scout, "scout")).status).toBe(200)
        expect(running.output()).not.toContain("is not asked for a moment")
      }),
    90_000
  )
})
