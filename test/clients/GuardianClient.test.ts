import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { GuardianClient } from "../../src/clients/GuardianClient.ts"
import { ServiceAuthorization } from "../../src/clients/ServiceAuthorization.ts"
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

  it.scopedLive("keeps sessions in the name of its process, and renews a token that the guardian refuses", () =>
    Effect.gen(function* () {
      const over = [{ agent: "scout", session_id: "b", code: "session_over", reason: "it ended" }]
      const session = (session_id: string) => ({ agent: "scout", session_id })
      const peer = yield* peerServer((response, count) =>
        count === 1 ? json(response, 401, refusal("unauthenticated")) : json(response, 200, { over })
      )
      let renewed = 0
      const own = {
        authorization: Effect.sync(() => Redacted.make(`Bearer ${renewed}`)),
        renew: Effect.sync(() => {
          renewed += 1
        })
      }
      const keep = Effect.flatMap(GuardianClient, (guardian) =>
        guardian
          .keepSessions({ alive: [session("a"), session("b")], done: [session("c")] })
          .pipe(Effect.retry({ times: 1 }))
      )
      const lost = yield* keep.pipe(
        Effect.provide(Layer.provide(peersAt(peer.url), Layer.succeed(ServiceAuthorization, own)))
      )
      expect(lost).toEqual(over)
      expect(peer.seen.map(({ headers }) => headers["authorization"])).toEqual(["Bearer 0", "Bearer 1"])
      expect(peer.seen[1]?.path).toBe("/sessions/keep")
      expect(JSON.parse(peer.seen[1]?.body ?? "")).toEqual({
        alive: [session("a"), session("b")],
        done: [session("c")]
      })
    })
  )

  it.scopedLive("is unavailable, by its name, where it does not answer", () =>
    Effect.gen(function* () {
      const peer = yield* peerServer(() => {})
      const end = Effect.flatMap(GuardianClient, (guardian) =>
        guardian.endSession({ ...asker, agent: "scout", sessionId: "s" })
      )
      const answer = yield* Effect.either(end).pipe(Effect.provide(peersAt(peer.url, "100ms")))
      expect(Either.isLeft(answer) && answer.left).toMatchObject({ _tag: "PeerUnavailable", peer: "guardian" })
    })
  )
})
