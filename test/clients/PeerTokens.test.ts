import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import { PeerTokens } from "../../src/clients/PeerTokens.ts"

type Answer = readonly [status: number, body: Readonly<Record<string, unknown>>]

/** A gatekeeper that answers as told, and the forms that it received. */
const exchanging = (answer: (form: URLSearchParams, number: number) => Answer) => {
  const forms: Array<URLSearchParams> = []
  let renewals = 0
  const client = HttpClient.make((request) =>
    Effect.sync(() => {
      const body = request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
      const form = new URLSearchParams(body)
      forms.push(form)
      const [status, json] = answer(form, forms.length)
      return HttpClientResponse.fromWeb(request, new Response(JSON.stringify(json), { status }))
    })
  )
  const layer = PeerTokens.layer({
    gatekeeper: Effect.succeed("http://gatekeeper"),
    authorization: Effect.succeed(Redacted.make("Bearer own")),
    renew: Effect.sync(() => {
      renewals += 1
    })
  }).pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, client)))
  return { forms, layer, renewals: () => renewals }
}

const granting = (expiresIn: number) =>
  exchanging((form, number) => [200, { access_token: `${form.get("audience")}-${number}`, expires_in: expiresIn }])

const towards = (peer: "guardian" | "gatekeeper", authorization: string | undefined) =>
  Effect.flatMap(PeerTokens, (tokens) =>
    Effect.map(tokens.towards(peer, { authorization, requestId: "r" }), (token) => token.authorization)
  )

it.effect("a caller's token is exchanged once a minute for each peer, and sooner where the exchanged one ends", () => {
  const long = granting(90)
  const short = granting(20)
  return Effect.gen(function* () {
    yield* Effect.gen(function* () {
      expect(yield* towards("guardian", "Bearer a")).toBe("Bearer guardian-1")
      expect(Object.fromEntries(long.forms[0] ?? [])).toMatchObject({
        grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token: "a",
        actor_token: "own",
        audience: "guardian"
      })
      yield* TestClock.adjust("59 seconds")
      expect(yield* towards("guardian", "Bearer a")).toBe("Bearer guardian-1")
      expect(yield* towards("gatekeeper", "Bearer a")).toBe("Bearer gatekeeper-2")
      expect(yield* towards("guardian", "Bearer b")).toBe("Bearer guardian-3")
      yield* TestClock.adjust("1 second")
      expect(yield* towards("guardian", "Bearer a")).toBe("Bearer guardian-4")
      expect(yield* towards("guardian", undefined)).toBeUndefined()
      expect(long.forms).toHaveLength(4)
    }).pipe(Effect.provide(long.layer))
    yield* Effect.gen(function* () {
      expect(yield* towards("guardian", "Bearer a")).toBe("Bearer guardian-1")
      yield* TestClock.adjust("20 seconds")
      expect(yield* towards("guardian", "Bearer a")).toBe("Bearer guardian-2")
    }).pipe(Effect.provide(short.layer))
  })
})

it.effect("a refusal of the caller's token is final; one of the service's own is tried once more with another", () => {
  const caller = exchanging(() => [
    400,
    { error: "invalid_grant", error_description: "it has expired", audit_id: "row" }
  ])
  const own = exchanging((_, number) =>
    number === 1
      ? [401, { error: "invalid_client", error_description: "expired" }]
      : [200, { access_token: "x", expires_in: 9 }]
  )
  const never = exchanging(() => [401, { error: "invalid_client", error_description: "withdrawn" }])
  const strange = exchanging(() => [404, {}])
  return Effect.gen(function* () {
    const refused = yield* Effect.flip(towards("guardian", "Bearer a").pipe(Effect.provide(caller.layer)))
    expect(refused).toMatchObject({ _tag: "TokenRefused", reason: "it has expired", auditId: "row" })
    expect(caller.renewals()).toBe(0)
    expect(yield* towards("guardian", "Bearer a").pipe(Effect.provide(own.layer))).toBe("Bearer x")
    expect(own.renewals()).toBe(1)
    for (const { layer } of [never, strange]) {
      const unavailable = yield* Effect.flip(towards("guardian", "Bearer a").pipe(Effect.provide(layer)))
      expect(unavailable._tag).toBe("TokenUnavailable")
    }
  })
})

it.effect("a token that the peer refused is forgotten, unless another call has replaced it", () => {
  const { forms, layer } = granting(90)
  return Effect.gen(function* () {
    const tokens = yield* PeerTokens
    const caller = { authorization: "Bearer a", requestId: "r" }
    const first = yield* tokens.towards("guardian", caller)
    expect(first).toEqual({ authorization: "Bearer guardian-1", isCached: false })
    const refused = yield* tokens.towards("guardian", caller)
    expect(refused).toEqual({ authorization: "Bearer guardian-1", isCached: true })
    yield* tokens.forget("guardian", caller, refused)
    expect(yield* tokens.towards("guardian", caller)).toEqual({ authorization: "Bearer guardian-2", isCached: false })
    yield* tokens.forget("guardian", caller, refused)
    expect(yield* tokens.towards("guardian", caller)).toEqual({ authorization: "Bearer guardian-2", isCached: true })
    expect(forms).toHaveLength(2)
  }).pipe(Effect.provide(layer))
})
