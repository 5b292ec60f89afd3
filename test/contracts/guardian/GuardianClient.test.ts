import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { GuardianApi } from "../../../src/contracts/guardian/GuardianApi.ts"
import { Gravitas, tokenOf } from "../../support/Gravitas.ts"

const clientOf = (token: string) =>
  Effect.gen(function* () {
    const baseUrl = yield* (yield* Gravitas).program.url("guardian")
    return yield* HttpApiClient.make(GuardianApi, {
      baseUrl,
      transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken(token))
    })
  }).pipe(Effect.provide(FetchHttpClient.layer))

const agent = "Supervisor_Managed_Agent"
const administrator = Effect.promise(() => tokenOf(agent))

layer(Gravitas.layer(), { timeout: "60 seconds", excludeTestServices: true })("The guardian's contract", (it) => {
  it.effect("is spoken by the client that is derived from it, a session's life long", () =>
    Effect.gen(function* () {
      const { register, work } = yield* clientOf(yield* administrator)
      const issued = yield* register.issue({ payload: { agent, valid_for: "1h" } })
      expect(yield* work.validate({ payload: { agent } })).toMatchObject({ valid: true, expires_at: issued.expires_at })
      const session = { session_id: "client-1" }
      yield* work.startSession({ payload: { agent, ...session, metadata: { model: "a" } } })
      yield* work.heartbeat({ payload: session })
      const page = yield* register.sessions({ urlParams: { agent, active: true, limit: 1 } })
      expect(page.sessions).toMatchObject([{ ...session, agent, active: true }])
      expect(yield* work.endSession({ payload: { ...session, output_file: "out.txt" } })).toMatchObject({
        end_reason: "completed"
      })
      expect(yield* register.stats({ urlParams: { agent, limit: 1 } })).toMatchObject({ completed_total: 1 })
      const revoked = yield* register.revoke({ path: { id: issued.id }, payload: { reason: "lost" } })
      expect(revoked).toMatchObject({ id: issued.id, reason: "lost" })
    })
  )

  it.effect("pages by the cursors of its answers", () =>
    Effect.gen(function* () {
      const { register } = yield* clientOf(yield* administrator)
      for (const index of [1, 2, 3]) yield* register.issue({ payload: { agent: `paged-${index}` } })
      const first = yield* register.certificates({ urlParams: { limit: 2 } })
      const second = yield* register.certificates({ urlParams: { limit: 1_000, cursor: first.next ?? "" } })
      const ids = [...first.certificates, ...second.certificates].map(({ id }) => id)
      expect([first.certificates.length, second.next]).toEqual([2, null])
      expect([new Set(ids).size, ids.length]).toEqual([first.total, first.total])
    })
  )

  it.effect("declares its errors, and answers a badge of two successes by its status", () =>
    Effect.gen(function* () {
      const { register } = yield* clientOf(yield* administrator)
      const path = { ghost: "Scout", badge: "by-client" }
      const granted = yield* register.grantBadge({ path })
      expect(yield* register.grantBadge({ path })).toEqual(granted)
      expect(yield* register.badge({ path })).toEqual(granted)
      expect((yield* register.badges({ path })).total).toBe(1)
      expect(yield* register.takeBadge({ path })).toEqual(granted)
      expect(yield* Effect.flip(register.badge({ path }))).toMatchObject({ error: { code: "badge_not_found" } })
      const stranger = yield* clientOf("not-a-token")
      expect(yield* Effect.flip(stranger.register.badge({ path }))).toMatchObject({
        error: { code: "unauthenticated" }
      })
    })
  )
})
