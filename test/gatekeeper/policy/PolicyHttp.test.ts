import { createServer } from "node:http"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { AccessControl } from "../../../src/gatekeeper/AccessControl.ts"
import { explainAccess } from "../../../src/gatekeeper/policy/PolicyHttp.ts"
import { request } from "../../support/Gravitas.ts"
import { full, scene } from "../Scene.ts"

/** `/explain` alone, on a port of its own until the scope ends. */
const explaining = Effect.gen(function* () {
  const explain = explainAccess(yield* AccessControl)
  const handler = yield* NodeHttpServer.makeHandler(Effect.flatMap(HttpServerRequest.HttpServerRequest, explain))
  const server = yield* Effect.acquireRelease(
    Effect.sync(() => createServer(handler)),
    (server) => Effect.sync(() => server.close())
  )
  return yield* Effect.async<string>((resume) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resume(Effect.succeed(`http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/explain`))
    })
  })
})

describe("POST /explain", () => {
  it.scopedLive("withdraws the permission to read of another when the trail does not take the reading", () =>
    Effect.gen(function* () {
      const { access, rows, withdrawn } = scene("Admin", 1)
      const url = yield* Effect.provide(explaining, access)
      const answer = yield* request(url, { body: { resource: "record/1", ghost_id: "alice" } })
      expect(answer.status).toBe(503)
      expect(rows).toMatchObject([{ ghostId: "Admin", action: "read", resource: "policy", result: "ALLOWED" }])
      expect(withdrawn).toEqual([["Admin", "policy", full.message]])
    })
  )
})
