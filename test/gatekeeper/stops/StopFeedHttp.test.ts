import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { Stops } from "../../../src/clients/Stops.ts"
import { type Revocation, stopListOf } from "../../../src/domain/Stops.ts"
import { stopFeed } from "../../../src/gatekeeper/stops/StopFeedHttp.ts"
import { StopRegister } from "../../../src/gatekeeper/stops/StopRegister.ts"
import type { VerifiedToken } from "../../../src/gatekeeper/tokens/VerifiedTokens.ts"
import { accessControlFixture, stopsOf, tokenSettings, verifiedToken } from "../../support/AccessControlFixture.ts"
import { eventually } from "../../support/Eventually.ts"
import { servingRoutes } from "../../support/GatekeeperServing.ts"

const stop: Revocation = {
  no: 1,
  id: "1",
  kind: "ghost",
  subject: "service:router",
  effect: "stop",
  at: 10_000,
  by: "admin",
  reason: null
}

/** The feed of a gatekeeper that knows no stop until `add` is run, and the rows that it leaves. */
const feed = (token: VerifiedToken) =>
  Effect.gen(function* () {
    const revocations: Array<Revocation> = []
    const changed = yield* SubscriptionRef.make(0)
    const { access, rows } = accessControlFixture(token)
    const list = () => stopListOf(revocations)
    const changes = changed.changes
    const book = { list, all: () => revocations, log: () => revocations, policyVersion: () => undefined, changes }
    const unused = Effect.dieMessage("the feed does not write")
    const register = Layer.mock(StopRegister, {
      book: { ...book, add: () => unused, announcePolicy: () => unused, save: unused }
    })
    const stops = Layer.succeed(Stops, { ...stopsOf(), list, changes })
    const url = yield* servingRoutes(stopFeed).pipe(Effect.provide([access, register, stops, tokenSettings()]))
    const add = (revocation: Revocation) =>
      Effect.suspend(() => {
        revocations.push(revocation)
        return SubscriptionRef.update(changed, (count) => count + 1)
      })
    return { url: `${url}/stops`, add, rows }
  })

/** Follows the stream until it ends, and returns what it has said so far. */
const follow = (url: string) =>
  Effect.gen(function* () {
    let text = ""
    const reading = yield* Effect.forkScoped(
      Effect.promise(async () => {
        const response = await fetch(url, { headers: { accept: "text/event-stream", authorization: "Bearer t" } })
        for await (const piece of response.body ?? []) text += Buffer.from(piece).toString()
      })
    )
    yield* eventually(
      Effect.sync(() => text),
      (said) => said.includes("data: ")
    )
    return { end: Fiber.join(reading).pipe(Effect.timeout("20 seconds")), said: () => text }
  })

const router = { ...verifiedToken("service:router"), issuedAt: 1_000, id: "jti" }

describe("the feed of stops", () => {
  it.scopedLive.each<readonly [string, Partial<Revocation>]>([
    ["its caller's ghost is stopped", {}],
    ["its caller's token is revoked", { kind: "token", subject: "jti" }]
  ])("ends when %s, says so, and no more", ([, more]) =>
    Effect.gen(function* () {
      const { add, rows, url } = yield* feed(router)
      const { end, said } = yield* follow(url)
      yield* add({ ...stop, id: "0", subject: "Scout" })
      yield* eventually(Effect.sync(said), (text) => text.includes("Scout"))
      yield* add({ ...stop, ...more })
      yield* add({ ...stop, id: "2", subject: "Librarian" })
      yield* end
      expect(said().match(new RegExp(`"subject":"${more.subject ?? stop.subject}"`, "g"))).toHaveLength(1)
      // What was stopped in the same moment may be in the last message; nothing comes after it.
      const messages = said()
        .split("\n\n")
        .filter((text) => text.includes('"subject"'))
      expect(messages.at(-1)).toContain(`"subject":"${more.subject ?? stop.subject}"`)
      // The caller did not ask.
      expect(rows.map(({ result }) => result)).toEqual(["ALLOWED"])
    })
  )

  it.scopedLive("ends when its caller's token expires", () =>
    Effect.gen(function* () {
      const { rows, url } = yield* feed({ ...router, until: Date.now() + 1_500 })
      yield* Effect.flatMap(follow(url), ({ end }) => end)
      expect(rows.map(({ result }) => result)).toEqual(["ALLOWED"])
    })
  )

  it.scopedLive("is asked a malformed question: the answer has its row", () =>
    Effect.gen(function* () {
      const { rows, url } = yield* feed(router)
      for (const query of ["?after=a&after=b", "?before=a"]) {
        const response = yield* Effect.promise(() =>
          fetch(`${url}${query}`, { headers: { authorization: "Bearer t" } })
        )
        const body = yield* Effect.promise(() => response.json())
        expect([response.status, body]).toMatchObject([422, { error: { audit_id: expect.any(String) } }])
      }
      expect(rows).toMatchObject([
        { result: "INVALID", action: "read", resource: "services/stops", ghostId: "service:router" },
        { result: "INVALID" }
      ])
    })
  )
})
