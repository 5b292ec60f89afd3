import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { ServiceName, titleOf } from "../domain/Service.ts"
import { Settings } from "../platform/config/Settings.ts"
import { clientAddress, forwardedHeader, proxyList } from "../platform/http/ClientAddress.ts"
import { Addresses, serviceUrl } from "../platform/http/Listener.ts"
import type { CallCutOff, LocalRequest } from "../platform/http/LocalCalls.ts"
import { outgoingTrace, requestSource } from "../platform/http/RequestContext.ts"
import * as CircuitBreaker from "./CircuitBreaker.ts"
import { ClientSettings } from "./ClientSettings.ts"
import { localTransport } from "./LocalTransport.ts"
import type { NotOfContract, PeerAnswer, PeerEndpoint } from "./PeerEndpoint.ts"
import * as PeerHttp from "./PeerHttp.ts"
import {
  type CallerHeaders,
  isForAddressee,
  PeerTokens,
  type TokenRefused,
  type TokenUnavailable
} from "./PeerTokens.ts"

/** Bytes of an answer: many times more than any answer of a peer has. */
const maximumAnswerBytes = 256 * 1024

/** Calls of one peer at a time; further calls wait for one of them, within their own deadline. Over HTTP, as many connections. */
const concurrentCalls = 64

export const layer = PeerHttp.layer({ connections: concurrentCalls, maxResponseSize: maximumAnswerBytes })

type Peer = Extract<ServiceName, "gatekeeper" | "guardian">

export const urlOf = (peer: Peer) => Effect.flatMap(ClientSettings, ({ peerUrls }) => serviceUrl(peer, peerUrls[peer]))

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

/** A body that is too large is a request that is not valid, for the caller of a client. */
export const refusalCode = (code: string): string => (code === "body_too_large" ? "invalid_request" : code)

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

type CallFailure = HttpClientError.HttpClientError | CallCutOff | NotOfContract | TokenUnavailable

/** For people who look for the reason of a refusal; it quotes nothing of the request or the answer. */
const reasonOf = (failure: CallFailure): string => {
  switch (failure._tag) {
    case "NotOfContract":
      if (failure.what === "request") return "its request cannot be encoded"
      return failure.status === undefined
        ? "its answer is not of its contract"
        : `it answered with status ${failure.status}`
    case "TokenUnavailable":
      return `there is no token for it: ${failure.reason}`
    case "CallCutOff":
      return "it stopped before it answered"
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

const statusOf = (failure: CallFailure): number | undefined => {
  if (failure._tag === "ResponseError") return failure.response.status
  return failure._tag === "NotOfContract" ? failure.status : undefined
}

const unavailable = (peer: ServiceName, failure: CallFailure): PeerUnavailable =>
  new PeerUnavailable({ peer, reason: reasonOf(failure), status: statusOf(failure) })

type SendFailure = HttpClientError.HttpClientError | CallCutOff | TokenRefused | TokenUnavailable

type Transport = (
  path: string,
  request: LocalRequest,
  caller: CallerHeaders
) => Effect.Effect<PeerAnswer, SendFailure | PeerUnavailable>

const withToken = (headers: LocalRequest["headers"], authorization: string | undefined) =>
  authorization === undefined ? headers : { ...headers, authorization }

/**
 * How a peer is asked: in process where it runs here and no setting names another, else over HTTP. Found at each call, since a service
 * of this process has a port and operations only when it listens.
 *
 * The contract does not declare the headers: OpenAPI says `Authorization` by its security, and the server would decode what is declared
 * at each request. The platform's own client span would repeat every header, and ignore a trace that is passed on but not recorded.
 */
const transportTo = (peer: Peer) =>
  Effect.gen(function* () {
    const { peerTimeout, peerUrls } = yield* ClientSettings
    const tokens = yield* PeerTokens
    const addresses = yield* Addresses
    const url = yield* urlOf(peer)
    const http = HttpClient.withTracerDisabledWhen(yield* HttpClient.HttpClient, () => true)
    const trusted = proxyList((yield* Settings).trustedProxies)
    /** A gatekeeper that trusts this process as a proxy counts failures by the address of their client. */
    const forwarded = (caller: LocalRequest["caller"]) =>
      caller === undefined ? {} : { forwarded: forwardedHeader(clientAddress(caller, trusted)) }
    const onTimeout = () =>
      new PeerUnavailable({ peer, reason: `it did not answer within ${Duration.format(peerTimeout)}` })
    // The gatekeeper exchanges no token that is not for the addressee, and records that.
    const attempt = (path: string, { caller: source, headers, text }: LocalRequest, caller: CallerHeaders) => {
      const sendWithToken = Effect.flatMap(tokens.towards(peer, caller, forwarded(source)), (token) =>
        Effect.map(
          send(path, { headers: withToken({ ...headers, ...forwarded(source) }, token.authorization), text }),
          (answer) => ({ answer, token })
        )
      )
      return Effect.flatMap(sendWithToken, ({ answer, token }) =>
        // A refused request did nothing, so it can be sent again. A token that was just made is refused for what it is.
        answer.status === 401 && token.isCached
          ? Effect.zipRight(
              tokens.forget(peer, caller, token),
              Effect.map(sendWithToken, (again) => again.answer)
            )
          : Effect.succeed(answer)
      )
    }
    const overHttp: Transport = (path, request, caller) => {
      const sent = attempt(path, request, caller)
      return sent.pipe(
        Effect.catchIf(wasRefused, () => Effect.delay(sent, pauseBeforeRetry)),
        Effect.timeoutFail({ duration: peerTimeout, onTimeout })
      )
    }
    const send = (path: string, { headers, text }: LocalRequest) =>
      url.pipe(
        Effect.flatMap((base) =>
          http.execute(
            HttpClientRequest.post(path, { headers, body: HttpBody.text(text, "application/json") }).pipe(
              HttpClientRequest.prependUrl(base)
            )
          )
        ),
        Effect.flatMap((response) => Effect.map(response.text, (text) => ({ status: response.status, text })))
      )
    if (Option.isSome(peerUrls[peer])) return overHttp
    const inProcess = localTransport(peer, { concurrent: concurrentCalls, timeout: peerTimeout, onTimeout })
    const transport: Transport = (path, request, caller) =>
      Effect.flatMap(addresses.all, (known) => {
        const call = known.get(peer)?.calls.find(path)
        if (call === undefined) return overHttp(path, request, caller)
        const headers = withToken(request.headers, caller.authorization)
        return inProcess(call, { ...request, headers, isForCaller: isForAddressee(caller) })
      })
    return transport
  })

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
export const make = (peer: Peer) =>
  Effect.gen(function* () {
    const transport = yield* transportTo(peer)
    const breaker = yield* CircuitBreaker.make(breakerOptions)

    const logTransition = ({ from, to }: CircuitBreaker.Transition, exit: Exit.Exit<unknown, unknown>) => {
      if (from === "Closed" && to === "Open") {
        const why = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        const reason = why instanceof PeerUnavailable ? why.reason : "it failed"
        return Effect.logWarning(`${titleOf(peer)} is not asked for a moment: ${reason}`)
      }
      return from === "HalfOpen" && to === "Closed" ? Effect.logInfo(`${titleOf(peer)} answers again.`) : Effect.void
    }

    /** `sent.hasBegun` says afterwards whether a request was made: before, it is encoded, which says nothing about the peer. */
    const send = <Payload, Success, Failure>(
      endpoint: PeerEndpoint<Payload, Success, Failure>,
      payload: Payload,
      caller: CallerHeaders,
      sent: { hasBegun: boolean }
    ) =>
      Effect.flatMap(endpoint.encode(payload), (text) =>
        Effect.withFiberRuntime<PeerAnswer, SendFailure | PeerUnavailable>((fiber) => {
          sent.hasBegun = true
          const headers = { ...outgoingTrace(fiber), "x-request-id": caller.requestId }
          return transport(endpoint.path, { headers, text, caller: requestSource(fiber.currentContext) }, caller)
        })
      ).pipe(Effect.flatMap(endpoint.decode))

    /**
     * Calls `endpoint` in the name of a caller. `toDomainError` tells a refusal from an answer that is not usable; `toRefusal` is for a
     * caller whose token the gatekeeper does not exchange.
     */
    return <Payload, Success, Failure, E>(
      endpoint: PeerEndpoint<Payload, Success, Failure>,
      payload: Payload,
      caller: CallerHeaders,
      toDomainError: (failure: Failure) => E | PeerUnavailable,
      toRefusal: (refused: TokenRefused) => E
    ): Effect.Effect<Success, E | PeerUnavailable> =>
      // A probe whose caller is interrupted between `enter` and `onExit` would block the breaker for ever.
      Effect.uninterruptibleMask((restore) =>
        breaker.enter.pipe(
          Effect.mapError(() => new PeerUnavailable({ peer, reason: "it failed a moment ago" })),
          Effect.flatMap((settle) => {
            const sent = { hasBegun: false }
            return send(endpoint, payload, caller, sent).pipe(
              Effect.mapError((failure) => {
                if (failure._tag === "DeclaredFailure") return toDomainError(failure.body)
                if (failure._tag === "PeerUnavailable") return failure
                return failure._tag === "TokenRefused" ? toRefusal(failure) : unavailable(peer, failure)
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
