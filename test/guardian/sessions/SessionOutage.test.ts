import { randomUUID } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Certificates } from "../../../src/guardian/certificates/Certificates.ts"
import { SigningKeys } from "../../../src/guardian/certificates/SigningKeys.ts"
import { Sessions } from "../../../src/guardian/sessions/Sessions.ts"
import { guardianRooms } from "../../support/GuardianLayers.ts"
import { testPostgres } from "../../support/TestPostgres.ts"

describe("A start of a session", () => {
  it.scopedLive(
    "that had no answer is not done afterwards, when the server reads what waited for it",
    () =>
      Effect.gen(function* () {
        const postgres = yield* testPostgres()
        const rooms = Layer.mergeAll(Sessions.layer, Certificates.layer).pipe(
          Layer.provide(SigningKeys.layer),
          Layer.provide(guardianRooms(postgres.url))
        )
        yield* Effect.gen(function* () {
          const sessions = yield* Sessions
          const certificates = yield* Certificates
          const [agent, sessionId] = [randomUUID(), randomUUID()]
          const now = Math.floor(Date.now() / 1_000)
          yield* certificates.issue({ agent, version: 1, issuedAt: now, expiresAt: now + 3_600 })
          const certificate = yield* certificates.inForce(agent)
          yield* postgres.pause
          const start = sessions.start({ agent, sessionId, certificate, requestId: "r", metadata: {} })
          expect((yield* Effect.flip(start))._tag).toBe("DatabaseUnavailable")
          yield* postgres.resume
          yield* Effect.sleep("1 second")
          expect(yield* sessions.find({ agent, sessionId })).toBeUndefined()
          const second = { certificate: yield* certificates.inForce(agent), requestId: "r", metadata: {} }
          expect(yield* sessions.start({ agent, sessionId, ...second })).toBe(true)
        }).pipe(Effect.provide(Layer.fresh(rooms)))
      }),
    60_000
  )
})
