import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { GuardianClient } from "../../src/clients/GuardianClient.ts"
import { json, peerServer, peersAt, refusal } from "../support/PeerServer.ts"

const asker = { authorization: "Bearer t", requestId: "request-8" }

describe("a question to the guardian", () => {
  it.scopedLive("returns the certificate in force", () =>
    Effect.gen(function* () {
      const certified = {
        valid: true,
        agent: "scout",
        issued_at: "2026-01-01T00:00:00Z",
        expires_at: "2027-01-01T00:00:00Z"
      }
      const peer = yield* peerServer((response) => json(response, 200, certified))
      const answer = yield* Effect.flatMap(GuardianClient, (guardian) =>
        guardian.certified({ ...asker, agent: "scout" })
      ).pipe(Effect.provide(peersAt(peer.url)))
      expect(answer).toEqual({ agent: "scout", expiresAt: "2027-01-01T00:00:00Z" })
      expect(peer.seen[0]?.headers).toMatchObject({ authorization: "Bearer t", "x-request-id": "request-8" })
    })
  )

  it.scopedLive("starts no session where the answer does not allow one", () =>
    Effect.gen(function* () {
      const peer = yield* peerServer((response) => json(response, 200, { allowed: false, reason: "no" }))
      const start = Effect.flatMap(GuardianClient, (guardian) =>
        guardian.startSession({ ...asker, agent: "scout", sessionId: "s", metadata: {} })
      )
      const answer = yield* Effect.either(start).pipe(Effect.provide(peersAt(peer.url)))
      expect(Either.isLeft(answer) && answer.left._tag).toBe("PeerUnavailable")
    })
  )

  const refusals = [
    [403, "not_certified"],
    [409, "session_exists"],
    [401, "unauthenticated"],
    [422, "invalid_request"]
  ] as const
  for (const [status, code] of refusals) {
    it.scopedLive(`returns the guardian's own refusal: ${status} ${code}`, () =>
      Effect.gen(function* () {
        const peer = yield* peerServer((response) => json(response, status, refusal(code)))
        const start = Effect.flatMap(GuardianClient, (guardian) =>
          guardian.startSession({ ...asker, agent: "scout", sessionId: "s", metadata: {} })
        )
        const answer = yield* Effect.either(start).pipe(Effect.provide(peersAt(peer.url)))
        expect(Either.isLeft(answer) && answer.left).toMatchObject({ _tag: "GuardianRefused", code })
      })
    )
  }

  it.scopedLive("lets the guardian refuse a name that is not valid, and goes on asking", () =>
    Effect.gen(function* () {
      const peer = yield* peerServer((response) => json(response, 422, refusal("invalid_request")))
      yield* Effect.flatMap(GuardianClient, (guardian) =>
        Effect.gen(function* () {
          for (const agent of ["team/a", ".", "..", "", "a\n", "x".repeat(201)]) {
            const refused = yield* Effect.flip(guardian.certified({ ...asker, agent }))
            expect(refused).toMatchObject({ _tag: "GuardianRefused", code: "invalid_request" })
          }
          const started = guardian.startSession({ ...asker, agent: "team/a", sessionId: "..", metadata: {} })
          expect(yield* Effect.flip(started)).toMatchObject({ _tag: "GuardianRefused", code: "invalid_request" })
        })
      ).pipe(Effect.provide(peersAt(peer.url)))
      expect(peer.seen.length).toBe(7)
    })
  )

  it.scopedLive("does not hold a request against the guardian that could not be sent", () =>
    Effect.gen(function* () {
      const peer = yield* peerServer((response) => json(response, 422, refusal("invalid_request")))
      yield* Effect.flatMap(GuardianClient, (guardian) =>
        Effect.gen(function* () {
          const unsendable = { ...asker, agent: "scout", sessionId: "s", metadata: { count: 1n } }
          for (let i = 0; i < 6; i++) {
            expect(yield* Effect.flip(guardian.startSession(unsendable))).toMatchObject({ _tag: "PeerUnavailable" })
          }
          expect(peer.seen.length).toBe(0)
          const asked = yield* Effect.flip(guardian.certified({ ...asker, agent: "scout" }))
          expect(asked).toMatchObject({ _tag: "GuardianRefused", code: "invalid_request" })
        })
      ).pipe(Effect.provide(peersAt(peer.url)))
    })
  )

  it.scopedLive("keeps a session alive until the guardian refuses, and tries again where it does not answer", () =>
    Effect.gen(function* () {
      const alive = {
        session_id: "s",
        last_seen_at: "2026-01-01T00:00:00.000Z",
        expires_at: "2026-01-01T00:00:00.300Z"
      }
      const peer = yield* peerServer((response, count) => {
        if (count === 2) return void response.destroy()
        return count < 5 ? json(response, 200, alive) : json(response, 409, refusal("session_over"))
      })
      const guarding = Effect.flatMap(GuardianClient, (guardian) => guardian.keepAlive({ ...asker, sessionId: "s" }))
      const over = yield* guarding.pipe(
        Effect.timeout("10 seconds"),
        Effect.provide(peersAt(peer.url, "250ms", { GUARDIAN_SESSION_TIMEOUT: "1s" }))
      )
      expect(over).toMatchObject({ _tag: "GuardianRefused", code: "session_over" })
      expect(peer.seen.map(({ path }) => path)).toEqual(Array.from({ length: 5 }, () => "/session/heartbeat"))
      expect(peer.seen[0]).toMatchObject({ headers: { authorization: "Bearer t" }, body: '{"session_id":"s"}' })
    })
  )

  it.scopedLive("is unavailable, by its name, where it does not answer", () =>
    Effect.gen(function* () {
      const peer = yield* peerServer(() => {})
      const end = Effect.flatMap(GuardianClient, (guardian) => guardian.endSession({ ...asker, sessionId: "s" }))
      const answer = yield* Effect.either(end).pipe(Effect.provide(peersAt(peer.url, "100ms")))
      expect(Either.isLeft(answer) && answer.left).toMatchObject({ _tag: "PeerUnavailable", peer: "guardian" })
    })
  )
})
