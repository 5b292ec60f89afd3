import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Revocation } from "../../src/domain/Stops.ts"
import { AccessControl, type AccessQuestion } from "../../src/gatekeeper/AccessControl.ts"
import type { VerifiedToken } from "../../src/gatekeeper/tokens/VerifiedTokens.ts"
import { accessControlFixture, full, stopsOf, verifiedToken } from "../support/AccessControlFixture.ts"

const stop = (kind: Revocation["kind"], subject: string): Revocation => ({
  no: 1,
  id: `${kind}-${subject}`,
  kind,
  subject,
  effect: "stop",
  at: 50_000,
  by: "admin",
  reason: null
})
const resume = (subject: string): Revocation => ({ ...stop("ghost", subject), no: 2, id: "resume", effect: "resume" })

/** A token of alice that the router exchanged for the guardian, and the guardian for the gatekeeper. */
const exchanged: VerifiedToken = {
  ...verifiedToken("alice"),
  id: "exchanged",
  audience: "gatekeeper",
  issuedAt: 10_000,
  originIds: ["origin"],
  acting: { actors: ["service:guardian", "service:router"], issuedAt: 40_000 }
}

/** What comes of a question with the token. */
const outcome = (token: VerifiedToken, stops: ReadonlyArray<Revocation>, resource = "record/1") => {
  const { access } = accessControlFixture(token, 99, Effect.fail(full), stopsOf(...stops))
  const question = { authorization: "Bearer t", requestId: "r", access: Either.right({ action: "read", resource }) }
  return Effect.flatMap(AccessControl, ({ ask }) => ask(question)).pipe(
    Effect.map(({ _tag }) => _tag),
    Effect.provide(access)
  )
}

describe("a question that is asked at once", () => {
  const asked = (access: AccessQuestion["access"]) => ({ authorization: "Bearer t", requestId: "r", access })
  const read = (resource: string) => asked(Either.right({ action: "read", resource }))

  it.effect("has the outcome and the row of one that is asked on a fiber", () =>
    Effect.gen(function* () {
      const { access, atOnce, rows } = accessControlFixture("alice")
      const { ask, askAtOnce } = yield* Effect.provide(AccessControl, access)
      const malformed = asked(Either.left({ message: "no JSON", claimed: { action: null, resource: null } }))
      for (const question of [read("record/1"), read("policy"), malformed]) {
        const outcome = askAtOnce(question, { headers: {} })
        expect(atOnce).toEqual(rows.slice(-1))
        const other = yield* ask(question)
        expect(outcome).toEqual({ ...other, auditId: expect.anything() })
        const [first, second] = rows.slice(-2)
        expect(second).toEqual(first)
        atOnce.length = 0
      }
    })
  )

  it.effect("is left to a fiber where its token is not accepted, and is refused where the trail is full", () =>
    Effect.gen(function* () {
      const stopped = accessControlFixture("alice", 99, Effect.fail(full), stopsOf(stop("ghost", "alice")))
      const overlong = accessControlFixture({ ...verifiedToken("alice"), isOverlong: true })
      for (const { access, rows } of [stopped, overlong]) {
        const { askAtOnce } = yield* Effect.provide(AccessControl, access)
        expect(askAtOnce(read("record/1"), { headers: {} })).toBeUndefined()
        expect(rows).toEqual([])
      }
      const { askAtOnce } = yield* Effect.provide(AccessControl, accessControlFixture("alice", 0).access)
      expect(askAtOnce(read("record/1"), { headers: {} })).toBe(full)
    })
  )
})

describe("a token that was exchanged", () => {
  it.effect.each<readonly [string, ReadonlyArray<Revocation>, string]>([
    ["is accepted while nothing of it is stopped", [stop("ghost", "service:console"), stop("token", "x")], "Allowed"],
    ["ends with the token that it was exchanged for", [stop("token", "origin")], "Unauthenticated"],
    ["ends with its own id", [stop("token", "exchanged")], "Unauthenticated"],
    [
      "ends with a stop of its ghost, also after the resume",
      [stop("ghost", "alice"), resume("alice")],
      "Unauthenticated"
    ],
    ["ends with the service that exchanged it", [stop("ghost", "service:guardian")], "Unauthenticated"],
    ["ends with a service that exchanged it before", [stop("ghost", "service:router")], "Unauthenticated"],
    [
      "is not revived by the resume of that service",
      [stop("ghost", "service:router"), resume("service:router")],
      "Unauthenticated"
    ]
  ])("%s", ([, stops, expected]) =>
    Effect.gen(function* () {
      expect(yield* outcome(exchanged, stops)).toBe(expected)
    })
  )

  it.effect("is accepted where the service exchanged it after its resume", () =>
    Effect.gen(function* () {
      const later = { ...exchanged, acting: { actors: ["service:router"], issuedAt: 60_000 } }
      const stops = [stop("ghost", "service:router"), resume("service:router")]
      expect(yield* outcome(later, stops)).toBe("Allowed")
    })
  )

  it.effect("serves only the work of services where the token that it was exchanged for was too long", () =>
    Effect.gen(function* () {
      const overlong = { ...exchanged, isOverlong: true }
      expect(yield* outcome(overlong, [])).toBe("Unauthenticated")
      const service = { ...overlong, ghostId: "service:router" }
      const { access } = accessControlFixture(service)
      const question = {
        authorization: "Bearer t",
        requestId: "r",
        access: Either.right({ action: "execute", resource: "services/sessions" })
      }
      const asked = Effect.flatMap(AccessControl, ({ ask }) => ask(question)).pipe(Effect.provide(access))
      expect((yield* asked)._tag).toBe("Allowed")
    })
  )
})
