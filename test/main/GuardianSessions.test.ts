import { randomUUID } from "node:crypto"
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ask, Gravitas, issue, rowsUnder } from "../support/Guardian.ts"

layer(Gravitas.layer(), { timeout: "60 seconds", excludeTestServices: true })("Sessions of the guardian", (it) => {
  it.effect("start with a certificate in force, and end; both are in the trail under their request ids", () =>
    Effect.gen(function* () {
      const agent = `agent-${randomUUID()}`
      const session = randomUUID()
      yield* issue(agent)
      const started = yield* ask("POST", "/session/start", { agent, session_id: session, metadata: { model: "a" } })
      expect([started.status, started.body["allowed"]]).toEqual([200, true])
      const ended = yield* ask("POST", "/session/end", { session_id: session, output_file: "out.txt" })
      expect(ended.status).toBe(200)
      const rows = yield* rowsUnder(started.headers.get("x-request-id"), 2)
      const resource = `sessions/${agent}/${session}`
      expect(rows.map((row) => [row["action"], row["resource"], row["result"]])).toEqual([
        ["execute", resource, "ALLOWED"],
        ["session.start", resource, "ALLOWED"]
      ])
      const again = yield* ask("POST", "/session/end", { session_id: session })
      expect([again.status, again.body]).toEqual([200, ended.body])
    })
  )
})
