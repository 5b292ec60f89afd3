import { describe, expect, it } from "@effect/vitest"
import * as Array from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import { GatekeeperClient } from "../../src/clients/GatekeeperClient.ts"
import { PeerTokens } from "../../src/clients/PeerTokens.ts"
import { type JsonResponse, jsonResponse } from "../../src/platform/http/ErrorResponse.ts"
import { Addresses } from "../../src/platform/http/Listener.ts"
import type { LocalRequest } from "../../src/platform/http/LocalCalls.ts"
import { allowed, json, peerServer, peersAt, refusal } from "../support/PeerServer.ts"

const question = {
  authorization: undefined,
  requestId: "request-7",
  action: "execute",
  resource: "shells/l1/small-model"
}

/** What a call comes to, in words. */
const ask = Effect.flatMap(GatekeeperClient, (gatekeeper) => gatekeeper.authorize(question)).pipe(
  Effect.match({ onFailure: ({ _tag, reason }) => `${_tag}: ${reason}`, onSuccess: () => "allowed" })
)

/** Lets a fiber run to its `step`-th operation, and then everybody else. */
const pausingAt = (step: number): Scheduler.Scheduler => {
  let steps = 0
  return {
    shouldYield: () => (steps++ === step ? 0 : false),
    scheduleTask: (task, priority, fiber) => Scheduler.defaultScheduler.scheduleTask(task, priority, fiber)
  }
}

/** A gatekeeper in this process: it answers each call when `release` completes, and counts the calls that have begun. */
const localGatekeeper = (url: string, release: Effect.Effect<void>) => {
  const begun = { paths: [] as Array<string> }
  const find = (path: string) => (_: LocalRequest, done: (answer: JsonResponse) => void) => {
    begun.paths.push(path)
    const fiber = Effect.runFork(Effect.map(release, () => done(jsonResponse(JSON.stringify(allowed)))))
    return () => fiber.unsafeInterruptAsFork(FiberId.none)
  }
  const addresses = Layer.tap(Addresses.layer, (context) =>
    Context.get(context, Addresses).announce("gatekeeper", { url, revision: "1", calls: { find } })
  )
  return { addresses, begun }
}

describe("a call of a peer", () => {
  it.scopedLive("goes to the operation of this process, and over HTTP where a setting has a URL", () =>
    Effect.gen(function* () {
      const peer = yield* peerServer((response) => json(response, 200, allowed))
      const { addresses, begun } = localGatekeeper(peer.url, Effect.void)
      expect(yield* Effect.provide(ask, peersAt(undefined, "1s", {}, addresses))).toBe("allowed")
      expect([begun.paths, peer.seen.length]).toEqual([["/validate"], 0])
      expect(yield* Effect.provide(ask, peersAt(peer.url, "1s", {}, addresses))).toBe("allowed")
      expect([begun.paths.length, peer.seen.length]).toEqual([1, 1])
    })
  )

  it.scopedLive("waits while 64 calls of a service in this process are in flight", () =>
    Effect.gen(function* () {
      const gate = yield* Effect.makeLatch(false)
      const { addresses, begun } = localGatekeeper("http://127.0.0.1:1", gate.await)
      yield* Effect.gen(function* () {
        const calls = yield* Effect.fork(
          Effect.all(
            Array.makeBy(65, () => ask),
            { concurrency: "unbounded" }
          )
        )
        yield* Effect.yieldNow().pipe(Effect.repeat({ until: () => begun.paths.length >= 64 }))
        yield* Effect.sleep("50 millis")
        expect(begun.paths.length).toBe(64)
        yield* gate.open
        expect((yield* Fiber.join(calls)).filter((answer) => answer === "allowed").length).toBe(65)
        expect(begun.paths.length).toBe(65)
      }).pipe(Effect.provide(peersAt(undefined, "10s", {}, addresses)))
    })
  )

  it.scopedLive("is answered at once for a moment after the peer failed again and again; then one call tries it", () =>
    Effect.gen(function* () {
      let failing = true
      const peer = yield* peerServer((response) => {
        if (failing) json(response, 500, {})
        else setTimeout(() => json(response, 200, allowed), 100)
      })
      yield* Effect.gen(function* () {
        yield* Effect.repeatN(ask, 4)
        expect(peer.seen.length).toBe(5)
        expect(yield* ask).toContain("failed a moment ago")
        expect(peer.seen.length).toBe(5)
        failing = false
        yield* Effect.sleep("1100 millis")
        const answers = yield* Effect.all(
          Array.makeBy(8, () => ask),
          { concurrency: "unbounded" }
        )
        expect(answers.filter((answer) => answer === "allowed").length).toBe(1)
        expect(peer.seen.length).toBe(6)
        expect(yield* ask).toBe("allowed")
      }).pipe(Effect.provide(peersAt(peer.url, "1s")))
    })
  )

  it.scopedLive("probes a peer that failed again, also where the probe's caller leaves at any moment", () =>
    Effect.gen(function* () {
      let failing = true
      const peer = yield* peerServer((response) => (failing ? json(response, 500, {}) : json(response, 200, allowed)))
      yield* Effect.gen(function* () {
        yield* Effect.repeatN(ask, 4)
        failing = false
        yield* Effect.sleep("1100 millis")
        for (let step = 0; step < 300; step++) {
          const probe = yield* Effect.fork(Effect.withScheduler(ask, pausingAt(step)))
          yield* Effect.yieldNow()
          yield* Fiber.interrupt(probe)
        }
        expect(yield* ask).toBe("allowed")
        // The connections of all those callers are opened and closed before this one's.
      }).pipe(Effect.provide(peersAt(peer.url, "10s")))
    })
  )

  it.scopedLive("that is refused with a token of before is made once more with another, and then not again", () =>
    Effect.gen(function* () {
      const peer = yield* peerServer((response, count) =>
        count === 2 || count > 3 ? json(response, 401, refusal("unauthenticated")) : json(response, 200, allowed)
      )
      let made = 0
      let cached: string | undefined
      const tokens = Layer.succeed(PeerTokens, {
        towards: () =>
          Effect.sync(() => {
            const isCached = cached !== undefined
            cached ??= `Bearer ${++made}`
            return { authorization: cached, isCached }
          }),
        forget: (_, __, refused) =>
          Effect.sync(() => {
            if (cached === refused.authorization) cached = undefined
          })
      })
      const answers = yield* Effect.all([ask, ask, ask, ask]).pipe(
        Effect.provide(peersAt(peer.url, "2s", {}, Addresses.layer, tokens))
      )
      const refused = "NotAuthorized: no: unauthenticated"
      expect(answers).toEqual(["allowed", "allowed", refused, refused])
      expect(peer.seen.map(({ headers }) => headers["authorization"])).toEqual(
        [1, 1, 2, 2, 3, 3, 4].map((number) => `Bearer ${number}`)
      )
    })
  )

  const statuses = [
    [405, "is not held against it"],
    [404, "is not held against it"],
    [408, "is a failure"],
    [414, "is not held against it"],
    [429, "is a failure"],
    [431, "is not held against it"],
    [500, "is a failure"],
    [502, "is a failure"]
  ] as const
  for (const [status, what] of statuses) {
    it.scopedLive(`that gets ${status} of what stands before the peer: ${what}`, () =>
      Effect.gen(function* () {
        const peer = yield* peerServer((response) => json(response, status, {}))
        yield* Effect.repeatN(ask, 5).pipe(Effect.provide(peersAt(peer.url)))
        expect(peer.seen.length).toBe(what === "is a failure" ? 5 : 6)
      })
    )
  }

  it.scopedLive("is not held against a peer that cannot read one caller's request", () =>
    Effect.gen(function* () {
      let status = 431
      const peer = yield* peerServer((response) => json(response, status, status === 200 ? allowed : {}))
      yield* Effect.gen(function* () {
        const answers = yield* Effect.all(Array.makeBy(6, () => ask))
        expect(answers).toEqual(Array.makeBy(6, () => "PeerUnavailable: it answered with status 431"))
        status = 200
        expect(yield* ask).toBe("allowed")
      }).pipe(Effect.provide(peersAt(peer.url)))
    })
  )

  it.scopedLive("is not held against a peer that refuses, however often", () =>
    Effect.gen(function* () {
      const peer = yield* peerServer((response) => json(response, 403, refusal("access_denied")))
      const answers = yield* Effect.all(Array.makeBy(30, () => ask)).pipe(Effect.provide(peersAt(peer.url)))
      expect(answers.filter((reason) => !reason.startsWith("NotAuthorized"))).toEqual([])
    })
  )
})
