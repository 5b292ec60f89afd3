import { randomUUID } from "node:crypto"
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Gravitas } from "../support/Gravitas.ts"
import { ask, issue, signingKey } from "../support/Guardian.ts"

const fifty = Array.from({ length: 50 }, (_, index) => index)

layer(Gravitas.layer({ environment: { GUARDIAN_SIGNING_KEY: signingKey } }), {
  timeout: "60 seconds",
  excludeTestServices: true
})("An operation that the gatekeeper allowed", (it) => {
  it.effect("changes the session that it was authorised for, and not another agent's that has the name meanwhile", () =>
    Effect.gen(function* () {
      yield* issue("Librarian")
      for (const index of fifty) {
        // Unknown, it is something below the sessions of Scout; started, it is the Librarian's.
        const session = `Scout/${randomUUID()}`
        const [started, ended] = yield* Effect.all(
          [
            ask("POST", "/session/start", { agent: "Librarian", session_id: session }, { ghost: "Librarian" }),
            Effect.delay(
              ask("POST", "/session/end", { session_id: session }, { ghost: "Scout" }),
              `${index % 10} millis`
            )
          ],
          { concurrency: 2 }
        )
        expect(started.status).toBe(200)
        expect([403, 404]).toContain(ended.status)
      }
      const active = yield* ask("GET", "/sessions?agent=Librarian&active=true")
      expect(active.body["sessions"]).toHaveLength(fifty.length)
    })
  )

  it.effect("grants a badge, also where another caller takes it at the same time", () =>
    Effect.gen(function* () {
      const path = `/badges/${randomUUID()}/first`
      const granting = Effect.forEach(fifty, () => ask("PUT", path), { concurrency: 8 })
      const taking = Effect.forEach(fifty, () => ask("DELETE", path), { concurrency: 8 })
      const [granted, taken] = yield* Effect.all([granting, taking], { concurrency: 2 })
      for (const { status } of granted) expect([200, 201]).toContain(status)
      const times = (answers: typeof granted, wanted: number) =>
        answers.filter(({ status }) => status === wanted).length
      const left = (yield* ask("GET", path)).status === 200 ? 1 : 0
      expect(times(granted, 201)).toBe(times(taken, 200) + left)
    })
  )
})
