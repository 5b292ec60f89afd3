import { describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { AuditId } from "../../src/audit/encoding/AuditId.ts"
import { Stops } from "../../src/clients/Stops.ts"
import { type Revocation, stopListOf } from "../../src/domain/Stops.ts"
import { AccessControl, Outcome } from "../../src/gatekeeper/AccessControl.ts"
import { makeLeases } from "../../src/gatekeeper/Leases.ts"
import { indexPolicy } from "../../src/gatekeeper/policy/PolicyIndex.ts"
import { tokenSettings, verifiedToken } from "../support/AccessControlFixture.ts"
import { policyOf } from "../support/Policies.ts"

const policy = policyOf({}, {})
const snapshot = { policy, index: indexPolicy(policy), loadedAt: DateTime.unsafeMake(0) }

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

const resume: Revocation = { ...stop, no: 2, id: "2", effect: "resume" }

/** A lease that is asked for at 0 s, and again at `seconds`: how many decisions that takes. */
const decisions = (
  seconds: number,
  until: number,
  now: { readonly stopped?: boolean; readonly issuedAt?: number; readonly policyVersion?: string } = {}
) =>
  Effect.gen(function* () {
    let asked = 0
    let isLater = false
    const access = Layer.mock(AccessControl, {
      stopped: () => undefined,
      askAtOnce: () => undefined,
      ask: () =>
        Effect.sync(() => {
          asked += 1
          return Outcome.Allowed({
            auditId: AuditId.make("00000000-0000-7000-8000-000000000001"),
            ghostId: "service:router",
            decision: { allowed: true, groups: [], matched: null, reason: "" },
            policyVersion: "one",
            snapshot,
            token: { ...verifiedToken("service:router"), issuedAt: now.issuedAt ?? 0, until }
          })
        })
    })
    const stops = Layer.succeed(Stops, {
      list: () => stopListOf(isLater && now.stopped === true ? [stop, resume] : []),
      policyVersion: () => (isLater ? (now.policyVersion ?? "one") : "one"),
      changes: Stream.empty,
      feedProblem: Effect.succeed(undefined)
    })
    const { lease } = yield* makeLeases.pipe(
      Effect.provide([access, stops, tokenSettings({ JWT_CLOCK_TOLERANCE: "5s" })])
    )
    const question = {
      authorization: "Bearer t",
      requestId: "r",
      access: Either.right({ action: "write", resource: "audit/store", metadata: {} })
    }
    yield* lease(question)
    isLater = true
    yield* TestClock.adjust(`${seconds} seconds`)
    yield* lease(question)
    return asked
  })

describe("a lease of a decision", () => {
  it.effect.each([
    ["is valid for a minute", 59, 900_000, {}, 1],
    ["ends after a minute", 60, 900_000, {}, 2],
    ["is valid until its token expires", 2, 3_000, {}, 1],
    ["ends with its token", 3, 3_000, {}, 2],
    ["ends with a stop of its ghost", 1, 900_000, { stopped: true }, 2],
    ["ends where a clock within the tolerance issued its token", 1, 900_000, { stopped: true, issuedAt: 15_000 }, 2],
    ["is valid for a token from after the stop", 1, 900_000, { stopped: true, issuedAt: 15_001 }, 1],
    ["ends with the policy that gave it", 1, 900_000, { policyVersion: "two" }, 2]
  ] as const)("%s", ([, seconds, until, now, expected]) =>
    Effect.gen(function* () {
      expect(yield* decisions(seconds, until, now)).toBe(expected)
    })
  )
})
