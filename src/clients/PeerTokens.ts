import { createHash } from "node:crypto"
import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { decodeJwt } from "jose"
import type { ServiceName } from "../domain/Service.ts"

/** The `iss` of tokens that gatekeepers issue. */
export const issuer = "urn:gravitas:gatekeeper"

/** Where a service gets tokens (RFC 6749, section 3.2). */
export const tokenPath = "/oauth/token"

export const grantTypes = {
  assertion: "urn:ietf:params:oauth:grant-type:jwt-bearer",
  exchange: "urn:ietf:params:oauth:grant-type:token-exchange"
} as const

export const accessTokenType = "urn:ietf:params:oauth:token-type:access_token"

/** RFC 6749, section 5.1. */
const Granted = Schema.parseJson(
  Schema.Struct({ access_token: Schema.String, expires_in: Schema.Number.pipe(Schema.positive()) })
)

/** RFC 6749, section 5.2, and the row of the refusal. */
const Refused = Schema.parseJson(
  Schema.Struct({
    error: Schema.String,
    error_description: Schema.String,
    audit_id: Schema.optional(Schema.String)
  })
)

/** The gatekeeper does not give the token. `code` is one of RFC 6749: `invalid_grant` is about the token or assertion that was sent. */
export class TokenRefused extends Data.TaggedError("TokenRefused")<{
  readonly code: string
  readonly reason: string
  readonly auditId: string | undefined
}> {
  override get message(): string {
    return this.reason
  }
}

/** The gatekeeper gave no answer of its contract. */
export class TokenUnavailable extends Data.TaggedError("TokenUnavailable")<{ readonly reason: string }> {
  override get message(): string {
    return this.reason
  }
}

/** The code of a refusal that only a count records. */
export const tooManyFailures = "too_many_failures"

/** What a refused token means for the caller of a peer. */
export const refusalCode = ({ code }: TokenRefused) => (code === tooManyFailures ? tooManyFailures : "unauthenticated")

/** Asks a gatekeeper for a token: a form, as RFC 6749 says. */
export const requestToken = Effect.fnUntraced(function* (
  url: string,
  form: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {}
) {
  const client = HttpClient.withTracerDisabledWhen(yield* HttpClient.HttpClient, () => true)
  const body = HttpBody.text(new URLSearchParams(form).toString(), "application/x-www-form-urlencoded")
  const answer = yield* client.execute(HttpClientRequest.post(`${url}${tokenPath}`, { headers, body })).pipe(
    Effect.flatMap((response) => Effect.map(response.text, (text) => ({ status: response.status, text }))),
    Effect.mapError(() => new TokenUnavailable({ reason: `the gatekeeper at ${url} cannot be reached` }))
  )
  if (answer.status === 200) {
    return yield* Effect.mapError(
      Schema.decodeUnknown(Granted)(answer.text),
      () => new TokenUnavailable({ reason: "the answer is not a gatekeeper's" })
    )
  }
  if (answer.status === 429) {
    const reason = "more requests without a valid identity came than get a row each; ask again in a second"
    return yield* new TokenRefused({ code: tooManyFailures, reason, auditId: undefined })
  }
  const refused = Schema.decodeUnknownOption(Refused)(answer.text)
  if (Option.isNone(refused)) {
    return yield* new TokenUnavailable({
      reason: `the gatekeeper answered ${answer.status}; run the same version on both sides`
    })
  }
  const { audit_id: auditId, error: code, error_description: reason } = refused.value
  return yield* code === "temporarily_unavailable"
    ? new TokenUnavailable({ reason })
    : new TokenRefused({ code, reason, auditId })
})

/** The headers of the caller's own request, which a call carries on. */
export interface CallerHeaders {
  /** As it came. */
  readonly authorization: string | undefined
  readonly requestId: string
  /** The service that calls a peer for the caller, where peers call that service too. */
  readonly addressee?: ServiceName
}

const bearer = /^bearer +/i

/** The audience of a token that a gatekeeper issued, unchecked; undefined for other tokens. */
const audienceOf = (authorization: string): string | undefined => {
  try {
    const { aud, iss } = decodeJwt(authorization.replace(bearer, ""))
    return iss === issuer && typeof aud === "string" ? aud : undefined
  } catch {
    return undefined
  }
}

/** The last token that was read: one request makes several calls with it. */
let lastRead: { readonly authorization: string; readonly audience: string | undefined } | undefined

const audienceRead = (authorization: string): string | undefined => {
  if (lastRead?.authorization !== authorization) lastRead = { authorization, audience: audienceOf(authorization) }
  return lastRead.audience
}

/** Whether the caller's token is its own, or addressed to the service that received it. */
export const isForAddressee = ({ addressee, authorization }: CallerHeaders): boolean => {
  const audience = authorization === undefined ? undefined : audienceRead(authorization)
  return audience === undefined || audience === addressee
}

/** Milliseconds that a token for a peer is used again. */
const longestUse = 60_000

const maximumCached = 10_000

/** A token with which a caller's name is used at a peer. */
export interface PeerToken {
  /** A value for the `Authorization` header that the peer alone can use; undefined where the caller has none. */
  readonly authorization: string | undefined
  /** An earlier call got it, so what it was made of may have been refused since. */
  readonly isCached: boolean
}

/** Makes the tokens with which this process calls a peer in a caller's name over HTTP. */
export class PeerTokens extends Context.Tag("clients/PeerTokens")<
  PeerTokens,
  {
    readonly towards: (
      peer: ServiceName,
      caller: CallerHeaders,
      /** `Forwarded`, by which the gatekeeper counts failures of the caller. */
      headers?: Readonly<Record<string, string>>
    ) => Effect.Effect<PeerToken, TokenRefused | TokenUnavailable>
    /** Forgets a token that the peer refused, so that the next call gets another. */
    readonly forget: (peer: ServiceName, caller: CallerHeaders, refused: PeerToken) => Effect.Effect<void>
  }
>() {
  /** Exchanges the caller's token at the gatekeeper (RFC 8693), with the service's own token. */
  static readonly layer = <E extends { readonly message: string }>(options: {
    readonly gatekeeper: Effect.Effect<string>
    readonly authorization: Effect.Effect<Redacted.Redacted, E>
    readonly renew: Effect.Effect<void>
  }) =>
    Layer.effect(
      PeerTokens,
      Effect.map(Effect.context<HttpClient.HttpClient>(), (context) => {
        const cache = new Map<string, { readonly authorization: string; readonly until: number }>()

        const exchange = Effect.fnUntraced(function* (
          peer: ServiceName,
          subject: string,
          headers: Readonly<Record<string, string>>
        ) {
          const actor = yield* Effect.mapError(
            options.authorization,
            ({ message }) => new TokenUnavailable({ reason: message })
          )
          const form = {
            grant_type: grantTypes.exchange,
            subject_token: subject.replace(bearer, ""),
            subject_token_type: accessTokenType,
            actor_token: Redacted.value(actor).replace(bearer, ""),
            actor_token_type: accessTokenType,
            audience: peer
          }
          return yield* requestToken(yield* options.gatekeeper, form, headers)
        })

        const isOfActor = (error: unknown): boolean =>
          Predicate.isTagged(error, "TokenRefused") &&
          Predicate.hasProperty(error, "code") &&
          error.code === "invalid_client"

        const keyOf = (peer: ServiceName, authorization: string): string =>
          `${peer} ${createHash("sha256").update(authorization).digest("base64")}`

        return PeerTokens.of({
          forget: (peer, { authorization = "" }, refused) =>
            Effect.sync(() => {
              const key = keyOf(peer, authorization)
              // Another call may have replaced it meanwhile.
              if (cache.get(key)?.authorization === refused.authorization) cache.delete(key)
            }),
          towards: (peer, { authorization, requestId }, given = {}) =>
            Effect.gen(function* () {
              if (authorization === undefined) return { authorization, isCached: false }
              const now = yield* Clock.currentTimeMillis
              const key = keyOf(peer, authorization)
              const cached = cache.get(key)
              if (cached !== undefined && cached.until > now && cached.until <= now + longestUse)
                return { authorization: cached.authorization, isCached: true }
              const headers = { ...given, "x-request-id": requestId }
              const granted = yield* exchange(peer, authorization, headers).pipe(
                // The service's own token may have expired, or its key may be another.
                Effect.catchIf(isOfActor, () => Effect.zipRight(options.renew, exchange(peer, authorization, headers))),
                Effect.catchIf(isOfActor, ({ message }) => new TokenUnavailable({ reason: message }))
              )
              if (cache.size >= maximumCached) cache.clear()
              const made = `Bearer ${granted.access_token}`
              cache.set(key, { authorization: made, until: now + Math.min(granted.expires_in * 1_000, longestUse) })
              return { authorization: made, isCached: false }
            }).pipe(Effect.provide(context))
        })
      })
    )
}
