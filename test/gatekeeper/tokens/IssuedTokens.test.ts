import { createPublicKey } from "node:crypto"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { decodeJwt } from "jose"
import * as AllSettings from "../../../src/app/AllSettings.ts"
import { bearerClaims } from "../../../src/clients/TokenClaims.ts"
import type { ServiceName } from "../../../src/domain/Service.ts"
import { ServiceKeys } from "../../../src/gatekeeper/services/ServiceKeys.ts"
import { exchangeOf, IssuedTokens, verifyIssued } from "../../../src/gatekeeper/tokens/IssuedTokens.ts"
import { Tokens, type TokenUse } from "../../../src/gatekeeper/tokens/Tokens.ts"
import type { VerifiedToken } from "../../../src/gatekeeper/tokens/VerifiedTokens.ts"
import { verifiedToken } from "../../support/AccessControlFixture.ts"
import { newKey } from "../../support/ServiceKeys.ts"

const seconds = Math.floor(Date.now() / 1_000)

const settings = AllSettings.layer.pipe(
  Layer.provide(
    Layer.setConfigProvider(
      ConfigProvider.fromMap(new Map([["JWT_SECRET_KEY", "a secret of more than thirty-two bytes"]]))
    )
  )
)

/** Tokens of a gatekeeper whose key is known. */
const withTokens = <A, E>(use: Effect.Effect<A, E, IssuedTokens | Tokens | ServiceKeys>) =>
  Effect.flatMap(newKey, ({ id, key, x }) => {
    const publicKey = createPublicKey(key)
    const keys = Layer.succeed(ServiceKeys, {
      own: { id, key, x, file: "gatekeeper.pem" },
      find: (kid) => Effect.succeed(kid === id ? publicKey : undefined)
    })
    return Effect.provide(
      use,
      Tokens.layer.pipe(
        Layer.provideMerge(IssuedTokens.layer),
        Layer.provideMerge(keys),
        Layer.provide([settings, NodeContext.layer])
      )
    )
  })

/** Exchanges a token as `service`, at `issuedAt` in seconds; returns the new one and what it proves. */
const exchanged = (token: VerifiedToken, service: string, audience: ServiceName, issuedAt: number) =>
  Effect.gen(function* () {
    const { sign } = yield* IssuedTokens
    const { own } = yield* ServiceKeys
    const expiresAt = issuedAt + 90
    const claims = { ghostId: token.ghostId, audience, exchange: exchangeOf(token, service), issuedAt, expiresAt }
    const signed = Redacted.value(yield* sign(claims))
    const proven = yield* Effect.promise(() => verifyIssued(signed, createPublicKey(own.key), issuedAt * 1_000))
    return { signed, proven }
  })

describe("a token that is exchanged", () => {
  it.effect("carries the id, the time and the length of the first one, however often it is exchanged", () =>
    withTokens(
      Effect.gen(function* () {
        const issuedAt = (seconds - 600) * 1_000
        const origin = { ...verifiedToken("Scout"), id: "first", issuedAt, isOverlong: true }
        const once = yield* exchanged(origin, "service:router", "guardian", seconds)
        const twice = yield* exchanged(once.proven, "service:guardian", "gatekeeper", seconds + 30)
        for (const { proven, signed } of [once, twice]) {
          expect(proven).toMatchObject({ ghostId: "Scout", issuedAt, originIds: ["first"], isOverlong: true })
          expect(proven.id).not.toBe("first")
          expect(bearerClaims(`Bearer ${signed}`)).toMatchObject({ subject: "Scout", issuedAt, originIds: ["first"] })
        }
        expect(once.proven.acting).toEqual({ actors: ["service:router"], issuedAt: seconds * 1_000 })
        expect(twice.proven.acting).toEqual({
          actors: ["service:guardian", "service:router"],
          issuedAt: (seconds + 30) * 1_000
        })
        expect(decodeJwt(twice.signed)["act"]).toEqual({ sub: "service:guardian", act: { sub: "service:router" } })
      })
    )
  )

  it.effect("has no origin to name where the first one has no id", () =>
    withTokens(
      Effect.gen(function* () {
        const once = yield* exchanged(verifiedToken("Scout"), "service:router", "guardian", seconds)
        const twice = yield* exchanged(once.proven, "service:guardian", "gatekeeper", seconds)
        expect(twice.proven).toMatchObject({ issuedAt: 0, isOverlong: false })
        expect(twice.proven.originIds).toEqual([])
      })
    )
  )
})

describe("a token that a gatekeeper issued", () => {
  const foreign = "the token is for the guardian alone"
  const gatekeepers = "the token is for the gatekeeper alone"
  const decisions = "the token is for decisions alone (POST /validate)"
  it.live.each<readonly [string, audience: ServiceName, isExchanged: boolean, TokenUse, problem: string | undefined]>([
    ["for the guardian serves no request to the gatekeeper", "guardian", true, "request", foreign],
    ["for the guardian gets no decision over HTTP", "guardian", true, "decision", foreign],
    ["for the guardian gets one of it in its process", "guardian", true, "decision in this process", undefined],
    ["for the guardian is foreign to others of its process", "guardian", true, "foreign in this process", foreign],
    ["for the gatekeeper gets decisions", "gatekeeper", true, "decision", undefined],
    ["for the gatekeeper in a caller's name serves no request", "gatekeeper", true, "request", decisions],
    ["for the gatekeeper is foreign where a peer got it", "gatekeeper", true, "foreign in this process", gatekeepers],
    ["for a service itself serves its requests", "gatekeeper", false, "request", undefined],
    ["for a service itself is foreign where a peer got it", "gatekeeper", false, "foreign in this process", gatekeepers]
  ])("%s", ([, audience, isExchanged, use, problem]) =>
    withTokens(
      Effect.gen(function* () {
        const { sign } = yield* IssuedTokens
        const exchange = isExchanged ? exchangeOf(verifiedToken("Scout"), "service:router") : undefined
        const ghostId = isExchanged ? "Scout" : "service:guardian"
        const claims = { ghostId, audience, exchange, issuedAt: seconds, expiresAt: seconds + 90 }
        const authorization = `Bearer ${Redacted.value(yield* sign(claims))}`
        const tokens = yield* Tokens
        const found = yield* Effect.either(tokens.verify(authorization, use))
        expect(found._tag === "Left" ? found.left.message : undefined).toBe(problem)
        // It is in the cache now, from which decisions are made without a fiber.
        const known = tokens.known(authorization, use)
        expect(known?.ghostId).toBe(problem === undefined ? ghostId : undefined)
      })
    )
  )
})
