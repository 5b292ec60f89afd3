import * as ConfigProvider from "effect/ConfigProvider"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { AuditLog } from "../../src/audit/AuditLog.ts"
import { AuditUnavailable } from "../../src/audit/AuditUnavailable.ts"
import { AuditId } from "../../src/audit/encoding/AuditId.ts"
import { Stops } from "../../src/clients/Stops.ts"
import type { AuditEvent } from "../../src/domain/AuditEvent.ts"
import { type Revocation, stopListOf } from "../../src/domain/Stops.ts"
import { AccessControl } from "../../src/gatekeeper/AccessControl.ts"
import { indexPolicy } from "../../src/gatekeeper/policy/PolicyIndex.ts"
import { PolicyInForce } from "../../src/gatekeeper/policy/PolicyInForce.ts"
import { TokenSettings } from "../../src/gatekeeper/tokens/TokenSettings.ts"
import { Tokens } from "../../src/gatekeeper/tokens/Tokens.ts"
import type { VerifiedToken } from "../../src/gatekeeper/tokens/VerifiedTokens.ts"
import { policyOf } from "./Policies.ts"

const policy = policyOf(
  {
    pep: [["execute", "access/evaluation"]],
    readers: [["read", "record/*"]],
    issuers: [["create", "tokens/*"]],
    admin: [
      ["*", "policy"],
      ["*", "audit/*"]
    ]
  },
  { Enforcer: ["pep"], anonymous: ["pep", "issuers"], alice: ["readers"], Admin: ["admin"], Issuer: ["issuers"] }
)
const snapshot = { policy, index: indexPolicy(policy), loadedAt: DateTime.unsafeMake(0) }

export const full = new AuditUnavailable({ reason: "full", detail: "the test fills it" })

export const tokenSettings = (variables: Readonly<Record<string, string>> = {}) =>
  Layer.provide(
    Layer.effect(TokenSettings, TokenSettings.config),
    Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))
  )

export const verifiedToken = (ghostId: string): VerifiedToken => ({
  ghostId,
  issuedAt: 0,
  id: undefined,
  isOverlong: false,
  from: 0,
  until: Number.POSITIVE_INFINITY,
  keyGeneration: undefined
})

/** A process in which these are stopped. */
export const stopsOf = (...revocations: ReadonlyArray<Revocation>): typeof Stops.Service => ({
  list: () => stopListOf(revocations),
  policyVersion: () => undefined,
  changes: Stream.make(0),
  feedProblem: Effect.succeed(undefined)
})

export const noStops = stopsOf()

/** Access control for `caller` over a trail that a test can read. It accepts `accepts` events, and runs `then` for the next. */
export const accessControlFixture = (
  caller: string | VerifiedToken,
  accepts = 99,
  then: Effect.Effect<never, AuditUnavailable> = Effect.fail(full),
  stops?: typeof Stops.Service
) => {
  const rows: Array<AuditEvent> = []
  /** Events that were recorded without a fiber, which are among the rows too. */
  const atOnce: Array<AuditEvent> = []
  const withdrawn: Array<readonly [ghost: string | null, resource: string | null, why: string]> = []
  const keep = (event: AuditEvent) => {
    rows.push(event)
    return AuditId.make(`00000000-0000-7000-8000-${String(rows.length).padStart(12, "0")}`)
  }
  const trail = Layer.succeed(AuditLog, {
    record: (event) => Effect.suspend(() => (rows.length >= accepts ? then : Effect.sync(() => keep(event)))),
    recordAtOnce: (event) => {
      if (rows.length >= accepts) return full
      atOnce.push(event)
      return keep(event)
    },
    withdraw: (event, _, why) => Effect.sync(() => void withdrawn.push([event.ghostId, event.resource, why])),
    accepting: Effect.succeed(true),
    status: Effect.die("the test does not need it")
  })
  const access = AccessControl.layer.pipe(
    Layer.provide([
      trail,
      Layer.succeed(Tokens, {
        verify: () => Effect.succeed(typeof caller === "string" ? verifiedToken(caller) : caller),
        known: () => (typeof caller === "string" ? verifiedToken(caller) : caller),
        issuerKeys: () => undefined,
        inspect: () => Effect.die("the test does not need it"),
        issue: () => Effect.die("the test does not need it")
      }),
      Layer.succeed(Stops, stops ?? noStops),
      tokenSettings(),
      Layer.succeed(PolicyInForce, {
        current: Effect.succeed(snapshot),
        now: () => snapshot,
        refused: Effect.succeed(null),
        reload: () => Effect.die("the test does not need it")
      })
    ])
  )
  return { access, rows, atOnce, withdrawn }
}
