import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Undici from "@effect/platform-node/Undici"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as GlobalValue from "effect/GlobalValue"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { ServiceName } from "../domain/Service.ts"
import { Settings } from "../platform/config/Settings.ts"
import { Addresses } from "../platform/http/Addresses.ts"
import { outgoingTrace } from "../platform/http/TraceContext.ts"
import { ClientSettings } from "./ClientSettings.ts"

/** Bytes of an answer: many times more than any answer of a peer has. */
const maximumAnswerBytes = 256 * 1024

/** Connections to one peer; further calls wait for one of them, within their own deadline. */
const connections = 64

const dispatcher = Layer.scoped(
  NodeHttpClient.Dispatcher,
  Effect.flatMap(ClientSettings, ({ peerTimeout }) =>
    Effect.acquireRelease(
      Effect.sync(
        () =>
          new Undici.Agent({
            connections,
            maxResponseSize: maximumAnswerBytes,
            connect: { timeout: Duration.toMillis(peerTimeout) }
          })
      ),
      (agent) => Effect.promise(() => agent.destroy())
    )
  )
)

/**
 * The HTTP client for peers: kept-alive connections, answers bounded in size, no redirects. A connection that its server is about
 * to close for idleness is not used again: undici heeds the server's own `Keep-Alive: timeout`.
 */
export const layer = NodeHttpClient.layerUndiciWithoutDispatcher.pipe(Layer.provide(dispatcher))

/** The address of a peer: the setting, else where it listens in this process, else its port on this machine. */
export const urlOf = (peer: Extract<ServiceName, "gatekeeper" | "guardian">) =>
  Effect.gen(function* () {
    const { peerUrls } = yield* ClientSettings
    const { ports } = yield* Settings
    const addresses = yield* Addresses
    return Option.match(peerUrls[peer], {
      onNone: () => Effect.map(addresses.all, (known) => known.get(peer)?.url ?? `http://127.0.0.1:${ports[peer]}`),
      onSome: Effect.succeed
    })
  })

export type RequestHeaders = Readonly<Record<string, string>>

const none: RequestHeaders = {}

const outgoing = GlobalValue.globalValue("clients/RequestHeaders", () => FiberRef.unsafeMake<RequestHeaders>(none))

/** Adds headers to the calls of peers that `effect` makes: the caller's `Authorization`, and the request's id. */
export const withHeaders =
  (headers: RequestHeaders) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.locally(effect, outgoing, headers)

/** Notes whether a call came as far as its request: before, its parts are encoded, which says nothing about the peer. */
const sending = GlobalValue.globalValue("clients/sending", () => FiberRef.unsafeMake({ hasBegun: false }))

/** Runs a call. `sent.hasBegun` says afterwards whether a request was made. */
export const noting =
  (sent: { hasBegun: boolean }) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.locally(effect, sending, sent)

/**
 * A client that sends the headers of `withHeaders`, and the trace of the calling fiber. The contract does not declare these
 * headers: OpenAPI says `Authorization` by its security, and the server would decode what is declared at each request. The
 * platform's own client span would repeat every header in its attributes, and ignore a trace that is passed on but not recorded.
 */
export const carrying = <E, R>(client: HttpClient.HttpClient.With<E, R>): HttpClient.HttpClient.With<E, R> =>
  HttpClient.mapRequestEffect(client, (request) =>
    Effect.withFiberRuntime((fiber) => {
      fiber.getFiberRef(sending).hasBegun = true
      const headers = { ...outgoingTrace(fiber), ...fiber.getFiberRef(outgoing) }
      return Effect.succeed(HttpClientRequest.setHeaders(request, headers))
    })
  ).pipe(HttpClient.withTracerDisabledWhen(() => true))
