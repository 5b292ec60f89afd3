import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { decodeJwt } from "jose"
import * as AllSettings from "../../../src/app/AllSettings.ts"
import { Stops } from "../../../src/clients/Stops.ts"
import { type Revocation, type TokenCredential, tokenStop } from "../../../src/domain/Stops.ts"
import { GatekeeperAccess } from "../../../src/gatekeeper/GatekeeperAccess.ts"
import { exchangeOf } from "../../../src/gatekeeper/tokens/IssuedTokens.ts"
import { boundedBy, lifetimeOf, stopRefusal, tokenRoutes } from "../../../src/gatekeeper/tokens/TokenOperations.ts"
import { Tokens } from "../../../src/gatekeeper/tokens/Tokens.ts"
import type { VerifiedToken } from "../../../src/gatekeeper/tokens/VerifiedTokens.ts"
import { accessControlFixture, noStops, stopsOf, verifiedToken } from "../../support/AccessControlFixture.ts"
import { servingRoutes } from "../../support/GatekeeperServing.ts"
import { signingSecret } from "../../support/Tokens.ts"

const stopAt = (subject: string, at: number): Revocation => ({
  ...{ no: 1, id: "1", kind: "ghost", subject, effect: "stop", at, by: "admin", reason: null }
})

const resumedAt = (subject: string, at: number): ReadonlyArray<Revocation> => [
  stopAt(subject, at),
  { ...stopAt(subject, at + 1), no: 2, id: "2", effect: "resume" }
]

const revoked = (jti: string): Revocation => ({ ...stopAt(jti, 1), kind: "token" })

interface Body {
  readonly access_token: string
  readonly audit_id: string
  readonly token_id: string
  readonly error?: { readonly code: string; readonly message: string; readonly audit_id: string }
}

/** `POST /tokens` of a gatekeeper with these settings, as `caller`, and the rows that it leaves. */
const issuing = (
  caller: VerifiedToken,
  {
    later = false,
    stopped = [],
    variables = {}
  }: { later?: boolean; stopped?: ReadonlyArray<Revocation>; variables?: Record<string, string> } = {}
) =>
  Effect.gen(function* () {
    const stops = stopsOf(...stopped)
    // With `later`, the stops become known after the permission.
    const { access, rows } = accessControlFixture(caller, 99, undefined, later ? noStops : stops)
    const settings = AllSettings.layer.pipe(
      Layer.provide(
        Layer.setConfigProvider(
          ConfigProvider.fromMap(new Map(Object.entries({ JWT_SECRET_KEY: signingSecret, ...variables })))
        )
      )
    )
    const context = yield* Layer.build(
      Tokens.layer.pipe(Layer.provideMerge(settings), Layer.provide(NodeContext.layer))
    )
    const routes = Layer.provideMerge(GatekeeperAccess.layer, Layer.merge(access, Layer.succeed(Stops, stops)))
    const url = yield* servingRoutes(tokenRoutes).pipe(Effect.provide(routes), Effect.provide(context))
    const ask = (asked: unknown) =>
      Effect.promise(async () => {
        const response = await fetch(`${url}/tokens`, {
          method: "POST",
          headers: { authorization: "Bearer t" },
          body: JSON.stringify(asked)
        })
        const body = (await response.json()) as Body
        return { status: response.status, headers: response.headers, body }
      })
    return { ask, rows, tokens: Context.get(context, Tokens) }
  })

const issuer: VerifiedToken = { ...verifiedToken("Issuer"), until: Date.now() + 3_600_000 }

describe("POST /tokens", () => {
  it.scopedLive(
    "gives a token for a ghost, which names its issuer; the trail has the permission and the token's id",
    () =>
      Effect.gen(function* () {
        const { ask, rows, tokens } = yield* issuing(issuer)
        const answer = yield* ask({ ghost_id: "Scout", valid_for: "10m", reason: "a test" })
        expect([answer.status, answer.headers.get("cache-control")]).toEqual([201, "no-store"])
        const { access_token: token, audit_id, token_id, ...rest } = answer.body
        expect(rest).toEqual({
          token_type: "Bearer",
          expires_in: 600,
          ghost_id: "Scout",
          expires_at: expect.stringMatching(/Z$/)
        })
        expect(decodeJwt(token)).toMatchObject({ sub: "Scout", act: { sub: "Issuer" }, jti: token_id, groups: [] })
        expect(yield* tokens.verify(`Bearer ${token}`)).toMatchObject({
          ghostId: "Scout",
          id: token_id,
          acting: { actors: ["Issuer"] }
        })
        expect(rows).toMatchObject([
          { action: "create", resource: "tokens/Scout", ghostId: "Issuer", result: "ALLOWED" },
          { action: "token.issue", resource: "tokens/Scout", ghostId: "Issuer", facts: { ghost_id: "Scout", token_id } }
        ])
        expect(rows[1]?.reason).toContain("a test")
        expect(audit_id).toMatch(/2$/)
        expect(JSON.stringify(rows)).not.toContain(token)
      })
  )

  it.scopedLive("refuses, with a row, what must not be", () =>
    Effect.gen(function* () {
      const stopped = [...[stopAt("Stopped", 1), ...resumedAt("Resumed", 1)], ...resumedAt("Lately", Date.now())].map(
        (revocation, place) => ({ ...revocation, id: String(place), no: place })
      )
      const { ask, rows } = yield* issuing(issuer, {
        stopped,
        variables: { JWT_CLOCK_TOLERANCE: "30s" }
      })
      const cases: ReadonlyArray<readonly [body: unknown, status: number, code: string, result: string]> = [
        [{ ghost_id: "Stopped" }, 409, "ghost_stopped", "DENIED"],
        // Its token would be refused for its whole life.
        [{ ghost_id: "Lately" }, 409, "ghost_stopped", "DENIED"],
        [{ ghost_id: "anonymous" }, 422, "invalid_request", "INVALID"],
        [{ ghost_id: "service:guardian" }, 422, "invalid_request", "INVALID"],
        [{ ghost_id: "Sco\u200but" }, 422, "invalid_request", "INVALID"],
        [{ ghost_id: "Scout", valid_for: "2h" }, 422, "invalid_request", "INVALID"],
        [{ ghost_id: "Scout", valid_for: 0.5 }, 422, "invalid_request", "INVALID"],
        [{ ghost_id: "Scout", ttl: "10m" }, 422, "invalid_request", "INVALID"]
      ]
      for (const [body, status, code, result] of cases) {
        const answer = yield* ask(body)
        expect([body, answer.status, answer.body.error?.code]).toEqual([body, status, code])
        // The answer names the row that says why.
        expect(Number(answer.body.error?.audit_id.slice(-4))).toBe(rows.length)
        expect(rows.at(-1)).toMatchObject({ result, ghostId: "Issuer" })
      }
      expect((yield* ask({ ghost_id: "Resumed" })).status).toBe(201)
    })
  )

  it.scopedLive("needs a permission of its own, a secret to sign with, and a caller who is known", () =>
    Effect.gen(function* () {
      const jwks = { JWT_SECRET_KEY: "", JWKS_URL: "http://127.0.0.1:9/jwks.json" }
      const scout: VerifiedToken = { ...issuer, ghostId: "Scout" }
      // A token's time is in whole seconds: this one ends in the present one.
      const endsNow = Math.floor(Date.now() / 1_000) * 1_000
      const cases: ReadonlyArray<readonly [VerifiedToken, Record<string, string>, number, string, string]> = [
        [scout, {}, 403, "access_denied", "Scout may not do this"],
        [issuer, jwks, 501, "signing_unavailable", "JWKS_URL"],
        [verifiedToken("anonymous"), {}, 501, "signing_unavailable", "AUTH_DISABLED"],
        [{ ...issuer, until: endsNow }, {}, 403, "access_denied", "your own token ends now"]
      ]
      for (const [caller, variables, status, code, message] of cases) {
        const { ask, rows } = yield* issuing(caller, { variables })
        const answer = yield* ask({ ghost_id: "Scout" })
        expect([answer.status, answer.body.error]).toMatchObject([
          status,
          { code, message: expect.stringContaining(message) }
        ])
        expect(rows.at(-1)).toMatchObject({ result: "DENIED", resource: "tokens/Scout", ghostId: caller.ghostId })
      }
    })
  )
})

describe("a token that was made with another", () => {
  it.scopedLive("carries the ids of all that it came from, eight at most", () =>
    Effect.gen(function* () {
      const { ask, tokens } = yield* issuing({ ...issuer, id: "c", originIds: ["b", "a"] })
      const { body } = yield* ask({ ghost_id: "Scout" })
      expect(decodeJwt(body.access_token)["origin"]).toEqual({ jti: "c", earlier: ["b", "a"] })
      const made = yield* tokens.verify(`Bearer ${body.access_token}`)
      expect(made.originIds).toEqual(["c", "b", "a"])
      for (const id of [String(made.id), "c", "b", "a"]) {
        expect(tokenStop(stopsOf(revoked(id)).list(), "Scout", made, 0)).toMatchObject({ subject: id })
      }
      expect(exchangeOf(made, "service:router").origin).toMatchObject({ jti: made.id, earlier: ["c", "b", "a"] })
      const chain = (length: number) => ({ ...issuer, id: "id", originIds: Array(length - 1).fill("x") })
      const statuses = yield* Effect.forEach([8, 9], (length) =>
        Effect.flatMap(issuing(chain(length)), (one) =>
          Effect.map(one.ask({ ghost_id: "Scout" }), ({ status }) => status)
        )
      )
      expect(statuses).toEqual([201, 403])
    })
  )

  it.scopedLive("is not given where a stop of the caller comes after the permission", () =>
    Effect.gen(function* () {
      const own: VerifiedToken = { ...issuer, id: "own", issuedAt: Date.now() - 60_000 }
      for (const stopped of [[stopAt("Issuer", 1)], resumedAt("Issuer", Date.now() - 30_000), [revoked("own")]]) {
        const { ask, rows } = yield* issuing(own, { stopped, later: true })
        const { body, status } = yield* ask({ ghost_id: "Scout" })
        expect([status, body.error?.code]).toEqual([403, "access_denied"])
        expect(rows).toMatchObject([{ result: "ALLOWED" }, { action: "token.issue", result: "DENIED" }])
      }
    })
  )

  const credential = (issuedAt: number): TokenCredential => ({ id: undefined, issuedAt })
  it.each<readonly [what: string, stops: ReadonlyArray<Revocation>, issuedAt: number, message: string | undefined]>([
    ["no stop", [], 5_000, undefined],
    ["a stop that lasts", [stopAt("Scout", 1_500)], 99_000, "was stopped at 1970-01-01T00:00:01.500Z"],
    ["a resume, and a token as old", resumedAt("Scout", 1_500), 3_000, "before 1970-01-01T00:00:04.000Z is valid"],
    ["a resume, on the second", resumedAt("Scout", 2_000), 4_000, "before 1970-01-01T00:00:05.000Z is valid"],
    ["a resume, and the first second that is later", resumedAt("Scout", 2_000), 5_000, undefined],
    ["a stop of the caller", [stopAt("Issuer", 1_500)], 99_000, "your own token is not valid any more"]
  ])("is given unless a stop covers it: %s", (_, stops, issuedAt, message) => {
    const made = { ...credential(issuedAt), acting: { actors: ["Issuer"], issuedAt } }
    const asked = { ghost: "Scout", by: "Issuer", own: credential(1_000), made }
    const refusal = stopRefusal(stopsOf(...stops).list(), asked, 2_000)
    expect(refusal?.message).toEqual(message === undefined ? undefined : expect.stringContaining(message))
  })
})

describe("the life of a token that was issued for another", () => {
  const settings = { issuedLifetime: Duration.hours(1), maximumLifetime: Duration.hours(24) }

  it.effect.each<readonly [string | number | undefined, Duration.DurationInput, Partial<typeof settings>]>([
    [undefined, "15 minutes", {}],
    [undefined, "1 minute", { issuedLifetime: Duration.minutes(1) }],
    ["1h", "1 hour", {}],
    [3_600, "1 hour", {}],
    ["1s", "1 second", {}],
    ["1m", "1 minute", { maximumLifetime: Duration.minutes(1) }]
  ])("is what was asked for: %s", ([validFor, expected, more]) =>
    Effect.gen(function* () {
      const lifetime = yield* lifetimeOf(validFor, { ...settings, ...more })
      expect(Duration.toMillis(lifetime)).toBe(Duration.toMillis(expected))
    })
  )

  it.each<readonly [what: string, until: number | undefined, tolerance: number, seconds: number]>([
    ["the caller's has time enough", 3_600_000, 0, 600],
    ["the caller's ends earlier", 60_000, 0, 60],
    ["the caller's ends earlier, and is accepted for a while after that", 65_000, 5, 60],
    ["the caller's is accepted for the tolerance alone", 4_000, 5, 0],
    ["nothing says when the caller's ends", undefined, 0, 0]
  ])("does not pass the end of the caller's token: %s", (_, until, tolerance, seconds) => {
    const token = until === undefined ? undefined : { until }
    const bounded = boundedBy(token, Duration.minutes(10), Duration.seconds(tolerance), 0)
    expect(Duration.toSeconds(bounded)).toBe(seconds)
  })

  it("ends with a stop of any of its issuers, also after an exchange, and a resume does not revive it", () => {
    const token: VerifiedToken = {
      ...{ ...verifiedToken("Scout"), issuedAt: 5_000, id: "t", originIds: ["c", "b"] },
      acting: { actors: ["Second", "First"], issuedAt: 5_000 }
    }
    const { actors, origin } = exchangeOf(token, "service:router")
    expect([actors, origin]).toEqual([["service:router", "Second", "First"], { iat: 5, jti: "t", earlier: ["c", "b"] }])
    for (const subject of ["Scout", "First", "Second"]) {
      const stop = stopAt(subject, 6_000)
      const resume = { ...stop, no: 2, id: "2", effect: "resume" as const }
      for (const list of [stopsOf(stop).list(), stopsOf(stop, resume).list()]) {
        expect(tokenStop(list, "Scout", token, 0)).toMatchObject({ subject })
      }
    }
    expect(tokenStop(stopsOf(stopAt("Other", 6_000)).list(), "Scout", token, 0)).toBeUndefined()
  })
})
