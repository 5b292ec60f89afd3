import type { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Undici from "@effect/platform-node/Undici"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { ServiceName, titleOf } from "../domain/Service.ts"
import { serviceUrl } from "../platform/http/Listener.ts"
import { outgoingTrace } from "../platform/http/RequestContext.ts"
import * as CircuitBreaker from "./CircuitBreaker.ts"
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

export const urlOf = (peer: Extract<ServiceName, "gatekeeper" | "guardian">) =>
  Effect.flatMap(ClientSettings, ({ peerUrls }) => serviceUrl(peer, peerUrls[peer]))

type Headers = Readonly<Record<string, string>>

class OutgoingHeaders extends Context.Reference<OutgoingHeaders>()("clients/PeerCall/OutgoingHeaders", {
  defaultValue: (): Headers => ({})
}) {}

/** The headers of the caller's own request, which the calls of peers carry on. */
export interface CallerHeaders {
  readonly authorization: string | undefined
  readonly requestId: string
}

/** Adds these headers to the calls of peers that `effect` makes. */
export const withCaller = ({ authorization, requestId }: CallerHeaders) =>
  Effect.provideService(OutgoingHeaders, {
    "x-request-id": requestId,
    ...(authorization === undefined ? {} : { authorization })
  })

class CallProgress extends Context.Reference<CallProgress>()("clients/PeerCall/CallProgress", {
  defaultValue: () => ({ hasBegun: false })
}) {}

/**
 * Runs a call. `sent.hasBegun` says afterwards whether a request was made: before, its parts are encoded, which says nothing about
 * the peer.
 */
const noting = (sent: { hasBegun: boolean }) => Effect.provideService(CallProgress, sent)

/**
 * A client that sends the headers of `withCaller`, and the trace of the calling fiber. The contract does not declare these
 * headers: OpenAPI says `Authorization` by its security, and the server would decode what is declared at each request. The
 * platform's own client span would repeat every header in its attributes, and ignore a trace that is passed on but not recorded.
 */
export const carrying = <E, R>(client: HttpClient.HttpClient.With<E, R>): HttpClient.HttpClient.With<E, R> =>
  HttpClient.mapRequestEffect(client, (request) =>
    Effect.withFiberRuntime((fiber) => {
      Context.get(fiber.currentContext, CallProgress).hasBegun = true
      const headers = { ...outgoingTrace(fiber), ...Context.get(fiber.currentContext, OutgoingHeaders) }
      return Effect.succeed(HttpClientRequest.setHeaders(request, headers))
    })
  ).pipe(HttpClient.withTracerDisabledWhen(() => true))

/** A service gave no usable answer to a question that must be asked. The caller refuses: it never allows by default. */
export class PeerUnavailable extends Schema.TaggedError<PeerUnavailable>()("PeerUnavailable", {
  peer: ServiceName,
  /** What went wrong, without anything secret. */
  reason: Schema.String,
  /** Of its answer, where it gave one that is not of its contract. */
  status: Schema.optional(Schema.Number)
}) {
  override get message(): string {
    return `${titleOf(this.peer)} cannot be asked (${this.reason}), so this is refused. Try again later; ${this.peer.toUpperCase()}_URL says where it is`
  }
}

/** The errors of a derived client beside those that its contract declares. */
export type CallFailure = HttpClientError.HttpClientError | ParseResult.ParseError | HttpApiDecodeError

const breakerOptions: CircuitBreaker.BreakerOptions = {
  consecutive: 5,
  window: { failures: 10, size: 20 },
  firstPauseMillis: 1_000,
  longestPauseMillis: 1_000
}

const pauseBeforeRetry = Duration.millis(50)

const causeCode = (failure: object): string | undefined => {
  const cause = "cause" in failure ? failure.cause : undefined
  return Predicate.hasProperty(cause, "code") && Predicate.isString(cause.code) ? cause.code : undefined
}

/** The connection was refused, so the peer has seen nothing: the one failure after which a retry cannot act twice. */
const wasRefused = (failure: unknown): boolean =>
  Predicate.isTagged(failure, "RequestError") && causeCode(failure) === "ECONNREFUSED"

/** The error of a call whose answer is not one of the peer's contract. */
export const unavailable = (peer: ServiceName, failure: CallFailure): PeerUnavailable =>
  new PeerUnavailable({
    peer,
    reason: reasonOf(failure),
    ...(failure._tag === "ResponseError" ? { status: failure.response.status } : {})
  })

/** For people who look for the reason of a refusal; it quotes nothing of the request or the answer. */
const reasonOf = (failure: CallFailure): string => {
  switch (failure._tag) {
    case "ParseError":
    case "HttpApiDecodeError":
      return "its answer is not of its contract"
    case "RequestError":
      return `it cannot be reached: ${causeCode(failure) ?? failure.reason}`
    case "ResponseError": {
      const { status } = failure.response
      const code = causeCode(failure)
      return status === 200
        ? `its answer cannot be read${code === undefined ? "" : `: ${code}`}`
        : `it answered with status ${status}`
    }
  }
}

/**
 * The outcome of a call for the breaker. A refusal is an answer. An interrupted call, and a request that could not be encoded
 * (`hasBegun` is false), say nothing about the peer. A 4xx is an answer too: else one caller with headers that are too long could
 * open the breaker for all. But 408 and 429 come from a proxy whose peer is late or overloaded, so they are failures.
 */
const outcomeOf = (exit: Exit.Exit<unknown, unknown>, hasBegun: boolean): CircuitBreaker.CallOutcome => {
  if (Exit.isSuccess(exit)) return "answered"
  if (!hasBegun) return "abandoned"
  const failure = Cause.failureOption(exit.cause)
  if (Option.isNone(failure)) return Cause.isInterruptedOnly(exit.cause) ? "abandoned" : "failed"
  if (!(failure.value instanceof PeerUnavailable)) return "answered"
  const { status } = failure.value
  if (status === undefined || status === 408 || status === 429) return "failed"
  return status >= 400 && status < 500 ? "answered" : "failed"
}

/**
 * Makes the function that calls one peer: within `PEER_TIMEOUT`, with one retry where the connection was refused, and not at all
 * while the circuit breaker is open. An answer that is not of the peer's contract is `PeerUnavailable`, and so a refusal.
 */
export const make = (peer: ServiceName) =>
  Effect.gen(function* () {
    const { peerTimeout } = yield* ClientSettings
    const breaker = yield* CircuitBreaker.make(breakerOptions)

    const logTransition = ({ from, to }: CircuitBreaker.Transition, exit: Exit.Exit<unknown, unknown>) => {
      if (from === "Closed" && to === "Open") {
        const why = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        const reason = why instanceof PeerUnavailable ? why.reason : "it failed"
        return Effect.logWarning(`${titleOf(peer)} is not asked for a moment: ${reason}`)
      }
      return from === "HalfOpen" && to === "Closed" ? Effect.logInfo(`${titleOf(peer)} answers again.`) : Effect.void
    }

    /** `toDomainError` tells an error that the peer answered from a call without a usable answer. */
    return <A, E, F, R>(
      effect: Effect.Effect<A, E, R>,
      toDomainError: (failure: E) => F | PeerUnavailable
    ): Effect.Effect<A, F | PeerUnavailable, R> =>
      // A probe whose caller is interrupted between `enter` and `onExit` would block the breaker for ever.
      Effect.uninterruptibleMask((restore) =>
        breaker.enter.pipe(
          Effect.mapError(() => new PeerUnavailable({ peer, reason: "it failed a moment ago" })),
          Effect.flatMap((settle) => {
            const sent = { hasBegun: false }
            return effect.pipe(
              noting(sent),
              Effect.catchIf(wasRefused, () => Effect.delay(noting(sent)(effect), pauseBeforeRetry)),
              Effect.mapError(toDomainError),
              Effect.timeoutFail({
                duration: peerTimeout,
                onTimeout: () =>
                  new PeerUnavailable({ peer, reason: `it did not answer within ${Duration.format(peerTimeout)}` })
              }),
              restore,
              Effect.onExit((exit) =>
                Effect.flatMap(settle(outcomeOf(exit, sent.hasBegun)), (transition) => logTransition(transition, exit))
              )
            )
          })
        )
      )
  })
