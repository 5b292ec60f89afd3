import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { GatekeeperClient } from "../../src/clients/GatekeeperClient.ts"
import { allowed, json, peerServer, peersAt } from "../support/PeerServer.ts"

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
const traceparent = `00-${traceId}-00f067aa0ba902b7-01`

const answering = (headers: Readonly<Record<string, string>>) =>
  Effect.provideService(
    HttpServerRequest.HttpServerRequest,
    HttpServerRequest.fromWeb(new Request("http://127.0.0.1/v1/chat/completions", { headers }))
  )

const asked = (headers: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    const peer = yield* peerServer((response) => json(response, 200, allowed))
    const ask = Effect.flatMap(GatekeeperClient, (gatekeeper) =>
      gatekeeper.authorize({ authorization: "Bearer t", requestId: "r", action: "read", resource: "a" })
    )
    return { peer, ask: Effect.provide(ask, peersAt(peer.url)).pipe(answering(headers)) }
  })

describe("a question that is asked while a request is answered", () => {
  it.scopedLive("is part of that request's trace where nothing records it", () =>
    Effect.gen(function* () {
      const { ask, peer } = yield* asked({ traceparent, tracestate: "vendor=1" })
      yield* Effect.withTracerEnabled(ask, false)
      expect(peer.seen[0]?.headers).toMatchObject({ traceparent, tracestate: "vendor=1" })
      expect(peer.seen[0]?.headers).not.toHaveProperty("b3")
    })
  )

  it.scopedLive("is a step of the recorded trace where one is recorded", () =>
    Effect.gen(function* () {
      const { ask, peer } = yield* asked({ traceparent, tracestate: "vendor=1" })
      const span = yield* Effect.withSpan(Effect.zipRight(ask, Effect.currentSpan), "of the request")
      const sent = String(peer.seen[0]?.headers["traceparent"])
      expect(sent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
      expect(sent).toContain(span.traceId)
      expect(sent).not.toContain(span.spanId)
      expect(peer.seen[0]?.headers["tracestate"]).toBe("vendor=1")
    })
  )

  it.scopedLive("names no trace outside of a request", () =>
    Effect.gen(function* () {
      const { ask, peer } = yield* asked({})
      yield* Effect.withTracerEnabled(ask, false)
      expect(peer.seen[0]?.headers).not.toHaveProperty("traceparent")
    })
  )
})
