import type * as Http from "node:http"
import { describe, expect, it } from "@effect/vitest"
import * as Array from "effect/Array"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import { GatekeeperClient } from "../../src/clients/GatekeeperClient.ts"
import { HandledRequest } from "../../src/platform/http/RequestContext.ts"
import { allowed, deadUrl, json, peerServer, peersAt, type Respond, refusal } from "../support/PeerServer.ts"

const question = {
  authorization: "Bearer of-the-caller",
  requestId: "request-7",
  action: "execute",
  resource: "shells/l1/small-model"
}

const ask = Effect.flatMap(GatekeeperClient, (gatekeeper) => Effect.either(gatekeeper.authorize(question)))

const reasonOf = (answer: Effect.Effect.Success<typeof ask>): string =>
  Either.match(answer, {
    onLeft: (failure) => `${failure._tag}: ${failure.reason}`,
    onRight: () => "allowed"
  })

const asked = (respond: Respond, timeout?: string) =>
  Effect.gen(function* () {
    const peer = yield* peerServer(respond)
    const [took, answer] = yield* ask.pipe(Effect.timed, Effect.provide(peersAt(peer.url, timeout)))
    return { answer, took: Duration.toMillis(took), peer }
  })

describe("a question to the gatekeeper", () => {
  it.scopedLive("carries the caller's own token and request id, and gives what the gatekeeper found", () =>
    Effect.gen(function* () {
      const { answer, peer } = yield* asked((response) => json(response, 200, allowed))
      expect(answer).toEqual(Either.right({ ghostId: "Scout", groups: ["scout"], auditId: allowed.audit_id }))
      expect(peer.seen[0]).toMatchObject({
        path: "/validate",
        headers: { authorization: "Bearer of-the-caller", "x-request-id": "request-7" }
      })
      expect(JSON.parse(peer.seen[0]?.body ?? "")).toEqual({ action: "execute", resource: "shells/l1/small-model" })
    })
  )

  it.scopedLive("names the sender of the request that it is asked for", () =>
    Effect.gen(function* () {
      const peer = yield* peerServer((response) => json(response, 200, allowed))
      const from = (remoteAddress: string) =>
        Effect.provideService(ask, HandledRequest, {
          headers: { forwarded: "for=203.0.113.1" },
          socket: { remoteAddress }
        })
      const asked = Effect.all([from("198.51.100.7"), from("2001:db8::7"), ask])
      yield* Effect.provide(asked, peersAt(peer.url))
      expect(peer.seen.map(({ headers }) => headers["forwarded"])).toEqual([
        "for=198.51.100.7",
        'for="[2001:db8::7]"',
        undefined
      ])
    })
  )

  it.scopedLive("is asked again after any number of strangers that the gatekeeper only counts", () =>
    Effect.gen(function* () {
      const peer = yield* peerServer((response, count) =>
        count <= 40 ? json(response, 429, refusal("too_many_failures")) : json(response, 200, allowed)
      )
      const asked = Effect.replicateEffect(Effect.map(ask, Either.isRight), 41)
      expect((yield* Effect.provide(asked, peersAt(peer.url))).at(-1)).toBe(true)
    })
  )

  describe("is refused where the gatekeeper refuses", () => {
    const cases = [
      [401, "unauthenticated", "unauthenticated"],
      [429, "too_many_failures", "too_many_failures"],
      [403, "access_denied", "access_denied"],
      [422, "invalid_request", "invalid_request"],
      [413, "body_too_large", "invalid_request"]
    ] as const
    for (const [status, code, expected] of cases) {
      it.scopedLive(`${status} ${code}`, () =>
        Effect.gen(function* () {
          const { answer } = yield* asked((response) => json(response, status, refusal(code)))
          expect(Either.isLeft(answer) && answer.left).toMatchObject({
            _tag: "NotAuthorized",
            code: expected,
            auditId: allowed.audit_id
          })
        })
      )
    }
  })

  describe("is never allowed without an answer of the contract", () => {
    const hang: Respond = () => {}
    const cut: Respond = (response) => response.socket?.destroy()
    const cutShort: Respond = (response) => {
      response.writeHead(200, { "content-length": 5_000 })
      response.write(JSON.stringify(allowed))
      setTimeout(() => response.socket?.destroy(), 20)
    }
    const slowBody: Respond = (response) => {
      response.writeHead(200)
      response.write(JSON.stringify(allowed).slice(0, 20))
    }
    const endless: Respond = (response) => {
      response.writeHead(200)
      response.write(`{"padding":"`)
      const more = setInterval(() => response.write("x".repeat(64 * 1024)), 1)
      response.on("close", () => clearInterval(more))
    }
    const text =
      (status: number, body: string, headers: Http.OutgoingHttpHeaders = {}): Respond =>
      (response) => {
        response.writeHead(status, headers)
        response.end(body)
      }
    const cases: ReadonlyArray<readonly [string, Respond, reason: string]> = [
      ["it hangs", hang, "did not answer within 250ms"],
      ["its answer never ends in time", slowBody, "did not answer within 250ms"],
      ["its answer is without end", endless, "cannot be read"],
      ["it hangs up", cut, "cannot be reached"],
      ["its answer breaks off", cutShort, "cannot be read"],
      ["it answers with garbage", text(200, "<html>"), "not of its contract"],
      ["it answers with nothing", text(200, ""), "not of its contract"],
      [
        "it answers 200 and does not allow",
        text(200, JSON.stringify({ ...allowed, allowed: false })),
        "not of its contract"
      ],
      [
        "it answers 200 with the text true",
        text(200, JSON.stringify({ ...allowed, allowed: "true" })),
        "not of its contract"
      ],
      ["it names no subject", text(200, JSON.stringify({ ...allowed, ghost_id: "" })), "not of its contract"],
      ["it names no row", text(200, JSON.stringify({ ...allowed, audit_id: "" })), "not of its contract"],
      ["it answers with another success", text(201, JSON.stringify(allowed)), "status 201"],
      ["it sends the question elsewhere", text(302, "", { location: "http://127.0.0.1:1/" }), "status 302"],
      ["it fails", text(500, JSON.stringify(allowed)), "status 500"],
      ["its refusal is not one", text(403, JSON.stringify(allowed)), "not of its contract"],
      ["its trail is full", text(503, JSON.stringify(refusal("audit_unavailable", "full"))), "full"]
    ]
    for (const [what, respond, reason] of cases) {
      it.scopedLive(what, () =>
        Effect.gen(function* () {
          const { answer, peer, took } = yield* asked(respond)
          expect(reasonOf(answer)).toMatch(/^PeerUnavailable/)
          expect(reasonOf(answer)).toContain(reason)
          expect(took).toBeLessThan(2_000)
          // Whether it was asked cannot be known where it was reached: it is not asked twice.
          expect(peer.seen.length).toBe(1)
        })
      )
    }

    it.scopedLive("no server listens", () =>
      Effect.gen(function* () {
        const answer = yield* ask.pipe(Effect.provide(peersAt(yield* deadUrl)))
        expect(reasonOf(answer)).toMatch(/^PeerUnavailable: .*ECONNREFUSED/)
      })
    )

    it.scopedLive(
      "whatever bytes it answers with: only a well-formed 200 that allows is a yes",
      () =>
        Effect.gen(function* () {
          const anything = FastCheck.oneof(
            { weight: 2, arbitrary: FastCheck.json() },
            { weight: 1, arbitrary: FastCheck.string({ unit: "binary" }) },
            {
              weight: 6,
              arbitrary: FastCheck.record(
                {
                  allowed: FastCheck.oneof(
                    FastCheck.constant(true),
                    FastCheck.constantFrom<unknown>(false, 1, "true", null, [true])
                  ),
                  ghost_id: FastCheck.oneof(FastCheck.constantFrom<unknown>("Scout", "", 7, null), FastCheck.string()),
                  groups: FastCheck.constantFrom<unknown>(["scout"], [], [1], "scout", null),
                  audit_id: FastCheck.constantFrom<unknown>(allowed.audit_id, "", 1),
                  reason: FastCheck.constantFrom<unknown>("because", 1),
                  matched: FastCheck.constantFrom<unknown>(null, allowed.matched, {}, "x"),
                  policy_version: FastCheck.constantFrom<unknown>("0", 0)
                },
                { noNullPrototype: true }
              ).map((fields) => JSON.stringify(fields))
            },
            { weight: 3, arbitrary: FastCheck.constant(JSON.stringify(allowed)) }
          )
          const statuses = FastCheck.oneof(
            { weight: 3, arbitrary: FastCheck.constant(200) },
            { weight: 2, arbitrary: FastCheck.constantFrom(201, 204, 301, 400, 401, 403, 413, 422, 429, 500, 503) }
          )
          const isYes = (status: number, body: string): boolean => {
            try {
              const { allowed, audit_id, ghost_id } = JSON.parse(body)
              return (
                status === 200 &&
                allowed === true &&
                [audit_id, ghost_id].every((text) => typeof text === "string" && text !== "")
              )
            } catch {
              return false
            }
          }
          const cases = FastCheck.sample(FastCheck.tuple(statuses, anything), { seed: 20_260, numRuns: 320 })
          let now: readonly [status: number, body: string] = [500, ""]
          const peer = yield* peerServer((response) => {
            response.writeHead(now[0], { "content-type": "application/json" })
            response.end(now[1])
          })
          let yes = 0
          const askAbout = (one: (typeof cases)[number]) =>
            Effect.gen(function* () {
              now = one
              const answer = yield* ask
              if (Either.isRight(answer)) {
                yes += 1
                expect(isYes(...one), JSON.stringify(one)).toBe(true)
              } else expect(["NotAuthorized", "PeerUnavailable"]).toContain(answer.left._tag)
            })
          // A new client before its breaker could stand between the answers and the test.
          for (const few of Array.chunksOf(cases, 4)) {
            yield* Effect.forEach(few, askAbout).pipe(Effect.provide(peersAt(peer.url, "2s")))
          }
          expect(peer.seen.length).toBe(cases.length)
          expect(yes).toBeGreaterThan(20)
        }),
      60_000
    )
  })

  it.scopedLive("goes over connections that are kept", () =>
    Effect.gen(function* () {
      const peer = yield* peerServer((response) => json(response, 200, allowed))
      yield* Effect.repeatN(ask, 19).pipe(Effect.provide(peersAt(peer.url)))
      expect(peer.seen.length).toBe(20)
      expect(peer.connections()).toBeLessThan(4)
    })
  )

  it.scopedLive("takes its connection back from a peer that hangs when the caller leaves", () =>
    Effect.gen(function* () {
      let closed = 0
      const peer = yield* peerServer((response) => {
        response.on("close", () => {
          closed += 1
        })
      })
      yield* Effect.gen(function* () {
        const asking = yield* Effect.fork(ask)
        yield* Effect.sleep("100 millis")
        yield* Fiber.interrupt(asking)
        yield* Effect.sleep("100 millis")
        expect(closed).toBe(1)
      }).pipe(Effect.provide(peersAt(peer.url, "10s")))
    })
  )
})
