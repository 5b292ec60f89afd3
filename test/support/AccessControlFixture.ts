import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../../src/audit/AuditLog.ts"
import { AuditUnavailable } from "../../src/audit/AuditUnavailable.ts"
import { AuditId } from "../../src/audit/encoding/AuditId.ts"
import type { AuditEvent } from "../../src/domain/AuditEvent.ts"
import { AccessControl } from "../../src/gatekeeper/AccessControl.ts"
import { indexPolicy } from "../../src/gatekeeper/policy/PolicyIndex.ts"
import { PolicyInForce } from "../../src/gatekeeper/policy/PolicyInForce.ts"
import { Tokens } from "../../src/gatekeeper/tokens/Tokens.ts"
import { policyOf } from "./Policies.ts"

const policy = policyOf(
  {
    pep: [["execute", "access/evaluation"]],
    readers: [["read", "record/*"]],
    admin: [
      ["*", "policy"],
      ["*", "audit/*"]
    ]
  },
  { Enforcer: ["pep"], anonymous: ["pep"], alice: ["readers"], Admin: ["admin"] }
)
const inForce = { policy, index: indexPolicy(policy), loadedAt: DateTime.unsafeMake(0) }

export const full = new AuditUnavailable({ reason: "full", detail: "as the test has it" })

/** Access control for `caller` over a trail that a test looks into: it takes `takes` events, and does `then` with the next. */
export const scene = (caller: string, takes = 99, then: Effect.Effect<never, AuditUnavailable> = Effect.fail(full)) => {
  const rows: Array<AuditEvent> = []
  const withdrawn: Array<readonly [ghost: string | null, resource: string | null, why: string]> = []
  const trail = Layer.succeed(AuditLog, {
    record: (event) =>
      Effect.suspend(() => {
        if (rows.length >= takes) return then
        rows.push(event)
        return Effect.succeed(AuditId.make(`00000000-0000-7000-8000-${String(rows.length).padStart(12, "0")}`))
      }),
    withdraw: (event, _, why) => Effect.sync(() => void withdrawn.push([event.ghostId, event.resource, why])),
    accepting: Effect.succeed(true),
    status: Effect.die("not asked for")
  })
  const access = AccessControl.layer.pipe(
    Layer.provide([
      trail,
      Layer.succeed(Tokens, { verify: () => Effect.succeed(caller), issue: () => Effect.die("not asked for") }),
      Layer.succeed(PolicyInForce, {
        current: Effect.succeed(inForce),
        refused: Effect.succeed(null),
        reload: () => Effect.die("not asked for")
      })
    ])
  )
  return { access, rows, withdrawn }
}
