import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import { accessTokenType, grantTypes } from "../../clients/PeerTokens.ts"
import { Stops } from "../../clients/Stops.ts"
import type { Facts } from "../../domain/AuditEvent.ts"
import { type ServiceName, servicesOf } from "../../domain/Service.ts"
import { describeStop, tokenStop } from "../../domain/Stops.ts"
import { refusalResponse } from "../../platform/http/ErrorResponse.ts"
import { requestId } from "../../platform/http/RequestContext.ts"
import { readText } from "../../platform/http/RequestDecoding.ts"
import { AccessControl } from "../AccessControl.ts"
import { elseAuditUnavailable } from "../Refusals.ts"
import { exchangeOf, IssuedTokens, type TokenExchange } from "../tokens/IssuedTokens.ts"
import { TokenSettings } from "../tokens/TokenSettings.ts"
import { Tokens } from "../tokens/Tokens.ts"
import type { VerifiedToken } from "../tokens/VerifiedTokens.ts"
import { makeAssertions } from "./Assertions.ts"

/** Seconds that a token of a service is valid: a withdrawn key is of no use after that. */
const serviceTokenLife = 60

/** Seconds that a token for a peer is valid: clients use it again for a minute. */
const exchangedTokenLife = 90

/** Services that others call. */
const audiences: ReadonlyArray<ServiceName> = ["gatekeeper", "guardian"]

/** What is granted: a token, and the words for its row. */
interface Grant {
  readonly result: "ALLOWED"
  readonly action: string
  readonly ghostId: string
  readonly audience: ServiceName
  readonly exchange: TokenExchange | undefined
  readonly seconds: number
  readonly reason: string
}

interface Denial {
  readonly result: "DENIED" | "UNAUTHENTICATED" | "INVALID"
  readonly action: string
  readonly ghostId: string | null
  readonly error: string
  readonly reason: string
}

type Outcome = Either.Either<Grant, Denial>

const denied = (
  error: string,
  reason: string,
  more: Partial<Omit<Denial, "error" | "reason">> = {}
): Either.Either<never, Denial> =>
  Either.left({ result: "UNAUTHENTICATED", action: "token.issue", ghostId: null, ...more, error, reason })

const noStore = { "cache-control": "no-store" }

/** A service's own token, by its assertion. */
const byAssertion = (
  verifyAssertion: Effect.Effect.Success<typeof makeAssertions>,
  form: URLSearchParams
): Effect.Effect<Outcome> =>
  verifyAssertion(form.get("assertion") ?? "").pipe(
    Effect.map(({ identity, keyId }) =>
      Either.right({
        result: "ALLOWED" as const,
        action: "token.issue",
        ghostId: identity,
        audience: "gatekeeper" as const,
        exchange: undefined,
        seconds: serviceTokenLife,
        reason: `${identity} proved itself by its key ${keyId}`
      })
    ),
    Effect.catchTag("AssertionRefused", ({ claimed, reason }) =>
      Effect.succeed(denied("invalid_grant", claimed === null ? reason : `${reason} (claimed by ${claimed})`))
    )
  )

/**
 * Whether a process with these services may call peers for a token that is for `addressee`. A process with the gatekeeper proves itself
 * by the gatekeeper's own key, whichever services it runs besides: that key signs all these tokens, so this gives it nothing more. What
 * is for the gatekeeper is good for no further call.
 */
const mayReceive = (services: ReadonlyArray<ServiceName>, addressee: string): boolean =>
  addressee !== "gatekeeper" && services.some((one) => one === addressee || one === "gatekeeper")

/** A token for a peer, for the token of a caller and that of the service that calls for it. */
const byExchange = (
  tokens: typeof Tokens.Service,
  stopOf: (token: VerifiedToken) => string | undefined,
  form: URLSearchParams
): Effect.Effect<Outcome> =>
  Effect.gen(function* () {
    const exchange = { action: "token.exchange" }
    const audience = audiences.find((one) => one === form.get("audience"))
    if (audience === undefined) {
      return denied("invalid_target", `"audience" must be ${audiences.join(" or ")}`, {
        ...exchange,
        result: "INVALID"
      })
    }
    const types = [form.get("subject_token_type"), form.get("actor_token_type")]
    if (types.some((type) => type !== accessTokenType)) {
      return denied("invalid_request", "a token's type is not that of an access token", {
        ...exchange,
        result: "INVALID"
      })
    }
    const actor = yield* Effect.either(tokens.verify(`Bearer ${form.get("actor_token") ?? ""}`))
    if (Either.isLeft(actor))
      return denied("invalid_client", `the service's own token: ${actor.left.message}`, exchange)
    const service = actor.right.ghostId
    const stopped = stopOf(actor.right)
    if (stopped !== undefined) return denied("invalid_client", `the service's own token: ${stopped}`, exchange)
    const services = servicesOf(service)
    if (services.length === 0) {
      return denied("invalid_client", `${service} is not a service`, {
        ...exchange,
        ghostId: service,
        result: "DENIED"
      })
    }
    const subject = yield* Effect.either(tokens.inspect(`Bearer ${form.get("subject_token") ?? ""}`))
    if (Either.isLeft(subject)) {
      return subject.left._tag === "KeysUnavailable"
        ? denied("temporarily_unavailable", subject.left.message, exchange)
        : denied("invalid_grant", subject.left.message, exchange)
    }
    const { acting, audience: addressee, ghostId, until } = subject.right
    // A service may ask for itself, too: by its own token, which is for the gatekeeper.
    const isOwn = ghostId === service && acting === undefined
    if (addressee !== undefined && !isOwn && !mayReceive(services, addressee)) {
      const reason = `the token is for the ${addressee} alone, and ${service} sent it`
      return denied("invalid_grant", reason, { ...exchange, ghostId: service, result: "DENIED" })
    }
    const stop = stopOf(subject.right)
    if (stop !== undefined) return denied("invalid_grant", stop, exchange)
    const now = yield* Clock.currentTimeMillis
    const seconds = Math.min(exchangedTokenLife, Math.floor((until - now) / 1_000))
    if (seconds < 1) return denied("invalid_grant", "the token has expired", exchange)
    const reason = `${service} acts for ${ghostId} at the ${audience}`
    const made = exchangeOf(subject.right, service)
    return Either.right({ result: "ALLOWED", ...exchange, ghostId, audience, exchange: made, seconds, reason })
  })

/** `POST /oauth/token`: the tokens of services. A raw route, since RFC 6749 says what request and errors look like. */
export const tokenEndpoint = Effect.gen(function* () {
  const access = yield* AccessControl
  const tokens = yield* Tokens
  const issued = yield* IssuedTokens
  const verifyAssertion = yield* makeAssertions
  const stops = yield* Stops
  const tolerance = Duration.toMillis((yield* TokenSettings).clockTolerance)

  /** A token from before a stop gets no later token, which would outlive the stop. */
  const stopOf = (token: VerifiedToken): string | undefined => {
    const stop = tokenStop(stops.list(), token.ghostId, token, tolerance)
    return stop === undefined ? undefined : describeStop(stop)
  }

  const outcomeOf = (form: URLSearchParams): Effect.Effect<Outcome> => {
    switch (form.get("grant_type")) {
      case grantTypes.assertion:
        return byAssertion(verifyAssertion, form)
      case grantTypes.exchange:
        return byExchange(tokens, stopOf, form)
      default:
        return Effect.succeed(
          denied("unsupported_grant_type", `"grant_type" must be ${Object.values(grantTypes).join(" or ")}`, {
            result: "INVALID"
          })
        )
    }
  }

  const record = (id: string | null, { action, ghostId, reason, result }: Grant | Denial, facts: Facts) =>
    access.record({
      action,
      resource: "oauth/token",
      ghostId,
      shellId: null,
      result,
      reason,
      requestId: id,
      facts
    })

  return Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
    const id = requestId(request)
    const text = yield* readText(request)
    if (text === undefined) {
      const code = "body_too_large"
      const message = "the form is too large, or not UTF-8"
      const refused = { result: "INVALID", action: "token.issue", ghostId: null, error: code, reason: message } as const
      return refusalResponse({ code, message, auditId: yield* record(id, refused, { code }) }, id)
    }
    // Before any stop is looked for, so that a stop which comes meanwhile is later than the token.
    const issuedAt = Math.floor((yield* Clock.currentTimeMillis) / 1_000)
    const outcome = yield* outcomeOf(new URLSearchParams(text))
    if (Either.isLeft(outcome)) {
      const { error, reason } = outcome.left
      const auditId = yield* record(id, outcome.left, { code: error })
      return HttpServerResponse.unsafeJson(
        { error, error_description: reason, audit_id: auditId },
        { status: { invalid_client: 401, temporarily_unavailable: 503 }[error] ?? 400, headers: noStore }
      )
    }
    const { audience, exchange, ghostId, seconds } = outcome.right
    const actor = exchange?.actors[0]
    // The token serves every request of the next minute, so the row belongs to none of them.
    yield* record(null, outcome.right, { audience, ...(actor === undefined ? {} : { actor }) })
    const expiresAt = issuedAt + seconds
    const token = yield* issued.sign({ ghostId, audience, exchange, issuedAt, expiresAt })
    const more = exchange === undefined ? {} : { issued_token_type: accessTokenType }
    const left = expiresAt - Math.floor((yield* Clock.currentTimeMillis) / 1_000)
    return HttpServerResponse.unsafeJson(
      { access_token: Redacted.value(token), token_type: "Bearer", expires_in: left, ...more },
      { headers: noStore }
    )
  }, elseAuditUnavailable)
})
