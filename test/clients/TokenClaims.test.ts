import { expect, it } from "@effect/vitest"
import { UnsecuredJWT } from "jose"
import { actorClaim, actorsOf, bearerClaims } from "../../src/clients/TokenClaims.ts"
import { type Revocation, stopListOf, tokenStop } from "../../src/domain/Stops.ts"

const header = (claims: Record<string, unknown>) => `Bearer ${new UnsecuredJWT(claims).encode()}`

it("a token that was issued for another names its issuers, the last one first", () => {
  const act = actorClaim(["Second", "First"])
  expect(act).toEqual({ sub: "Second", act: { sub: "First" } })
  expect(actorsOf(act)).toEqual(["Second", "First"])
  const claims = bearerClaims(header({ sub: "Scout", iat: 5, exp: 9, jti: "t", act }))
  expect(claims).toMatchObject({
    subject: "Scout",
    issuedAt: 5_000,
    acting: { actors: ["Second", "First"], issuedAt: 5_000 }
  })
  const stop: Revocation = {
    ...{ no: 1, id: "1", kind: "ghost", subject: "First", effect: "stop", at: 6_000, by: "admin", reason: null }
  }
  expect(tokenStop(stopListOf([stop]), "Scout", claims, 0)).toBe(stop)
})

it("a token that was made with others ends with a revocation of each of them", () => {
  const claims = bearerClaims(header({ sub: "Scout", iat: 5, jti: "t", origin: { jti: "c", earlier: ["b", "a"] } }))
  expect(claims).toMatchObject({ id: "t", issuedAt: 5_000, originIds: ["c", "b", "a"] })
  for (const id of ["t", "c", "b", "a", "other"]) {
    const stop: Revocation = {
      ...{ no: 1, id: "1", kind: "token", subject: id, effect: "stop", at: 1, by: "admin", reason: null }
    }
    expect(tokenStop(stopListOf([stop]), "Scout", claims, 0)).toBe(id === "other" ? undefined : stop)
  }
})

it.each([
  ["no claim", { iat: 5 }],
  ["another shape", { iat: 5, act: "First" }],
  ["no name", { iat: 5, act: { act: { sub: "First" } } }],
  ["no iat", { act: { sub: "First" } }]
])("a token with %s names no issuer", (_, claims) => {
  expect(bearerClaims(header({ sub: "Scout", ...claims })).acting).toBeUndefined()
})
