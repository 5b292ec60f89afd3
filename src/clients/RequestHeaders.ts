import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as GlobalValue from "effect/GlobalValue"
import { outgoingTrace } from "../platform/http/TraceContext.ts"

export type Headers = Readonly<Record<string, string>>

const none: Headers = {}

const outgoing = GlobalValue.globalValue("clients/RequestHeaders", () => FiberRef.unsafeMake<Headers>(none))

/** Calls of a peer that `effect` makes carry these headers: whose request it is, and under which id. */
export const withHeaders =
  (headers: Headers) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.locally(effect, outgoing, headers)

/**
 * A client whose requests carry what `withHeaders` says, and the trace that the calling fiber is part of; a derived client has no
 * place for them of its own. The platform's own client span would repeat every header in its attributes, and make no use of a
 * trace that is passed on but not recorded.
 */
export const carrying = <E, R>(client: HttpClient.HttpClient.With<E, R>): HttpClient.HttpClient.With<E, R> =>
  HttpClient.mapRequestEffect(client, (request) =>
    Effect.withFiberRuntime((fiber) => {
      const headers = { ...outgoingTrace(fiber), ...fiber.getFiberRef(outgoing) }
      return Effect.succeed(HttpClientRequest.setHeaders(request, headers))
    })
  ).pipe(HttpClient.withTracerDisabledWhen(() => true))
