import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import { AccessControl } from "../../../src/gatekeeper/AccessControl.ts"
import { decideEvaluations, evaluationPermission } from "../../../src/gatekeeper/authzen/AuthZenDecisions.ts"
import { accessControlFixture, full } from "../../support/AccessControlFixture.ts"

/** Decides as the handlers do, once `caller` may ask. */
const judging = (...of: Parameters<typeof accessControlFixture>) => {
  const { access, ...seen } = accessControlFixture(...of)
  const judged = (evaluations: ReadonlyArray<unknown>) =>
    Effect.gen(function* () {
      const control = yield* AccessControl
      const allowed = yield* control.ask({
        authorization: "",
        requestId: "r",
        access: Either.right(evaluationPermission)
      })
      if (allowed._tag !== "Allowed") return yield* Effect.die(allowed)
      return yield* decideEvaluations(control, "r", allowed, { single: false, evaluations, semantic: "execute_all" })
    }).pipe(Effect.provide(access))
  return { judged, ...seen }
}

const reading = (id: string) => ({
  subject: { type: "user", id: "alice" },
  action: { name: "read" },
  resource: { type: "record", id }
})

describe("decideEvaluations", () => {
  it.effect("withdraws its decisions and the caller's permission when the trail refuses an event", () =>
    Effect.gen(function* () {
      const { judged, withdrawn } = judging("Enforcer", 3)
      expect(yield* Effect.flip(judged([reading("1"), reading("2"), reading("3")]))).toBe(full)
      expect(withdrawn).toEqual([
        ["Enforcer", "access/evaluation", full.message],
        ["alice", "record/1", full.message],
        ["alice", "record/2", full.message]
      ])
    })
  )

  it.effect("withdraws them when the caller leaves while an event is being recorded", () =>
    Effect.gen(function* () {
      const waits = yield* Deferred.make<void>()
      const waiting = Effect.zipRight(Deferred.succeed(waits, undefined), Effect.never)
      const { judged, withdrawn } = judging("Enforcer", 2, waiting)
      const fiber = yield* Effect.fork(judged([reading("1"), reading("2")]))
      yield* Deferred.await(waits)
      yield* Fiber.interrupt(fiber)
      expect(withdrawn.map(([ghost, resource]) => [ghost, resource])).toEqual([
        ["Enforcer", "access/evaluation"],
        ["alice", "record/1"]
      ])
      expect(withdrawn[0]?.[2]).toBe("the caller left before the answer")
    })
  )

  it.live("lets other requests run in between, since a hundred rows can take a tenth of a second", () =>
    Effect.gen(function* () {
      let turns = 0
      const count = () => {
        turns += 1
        immediate = setImmediate(count)
      }
      let immediate = setImmediate(count)
      const outcomes = yield* judging("Enforcer", 101).judged(Array.from({ length: 100 }, () => reading("1")))
      clearImmediate(immediate)
      expect(outcomes).toHaveLength(100)
      expect(turns).toBeGreaterThanOrEqual(10)
    })
  )

  it.effect("marks every row of an unauthenticated caller, whatever ghost the row is about", () =>
    Effect.gen(function* () {
      const { judged, rows } = judging("anonymous")
      yield* judged([reading("1"), { ...reading("2"), action: { name: "write" } }, {}, 7])
      expect(rows.map(({ marks, result }) => [result, marks])).toEqual(
        ["ALLOWED", "ALLOWED", "DENIED", "INVALID", "INVALID"].map((result) => [result, ["auth:disabled"]])
      )
      const asked = judging("Enforcer")
      yield* asked.judged([reading("1")])
      expect(asked.rows.map(({ marks }) => marks)).toEqual([undefined, undefined])
    })
  )

  it.effect("records the claim of a malformed evaluation", () =>
    Effect.gen(function* () {
      const { judged, rows } = judging("Enforcer")
      yield* judged([
        reading("../../secret"),
        { ...reading("1"), subject: { type: "user" } },
        { resource: { type: "record" }, action: { name: 7 } }
      ])
      expect(rows.slice(1)).toMatchObject([
        { result: "INVALID", ghostId: "alice", action: "read", resource: "record/../../secret" },
        { result: "INVALID", ghostId: null, action: "read", resource: "record/1" },
        { result: "INVALID", ghostId: null, action: null, resource: null, facts: { asked_by: "Enforcer" } }
      ])
    })
  )
})
