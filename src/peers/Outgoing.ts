import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as GlobalValue from "effect/GlobalValue"

export type Headers = Readonly<Record<string, string>>

const none: Headers = {}

const outgoing = GlobalValue.globalValue("peers/Outgoing", () => FiberRef.unsafeMake<Headers>(none))

/** Calls of a peer that `effect` makes carry these headers: whose request it is, and under which id. */
export const withHeaders =
  (headers: Headers) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.locally(effect, outgoing, headers)

/** A client whose requests carry what `withHeaders` says; a derived client has no place for them of its own. */
export const carrying = <E, R>(client: HttpClient.HttpClient.With<E, R>): HttpClient.HttpClient.With<E, R> =>
  HttpClient.mapRequestEffect(client, (request) =>
    Effect.map(FiberRef.get(outgoing), (headers) => HttpClientRequest.setHeaders(request, headers))
  )
