import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type { AuditId } from "../audit/AuditId.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import type { AuditUnavailable } from "../audit/AuditUnavailable.ts"
import type { AuditEvent, AuditResult } from "../domain/AuditEvent.ts"
import type { Decision } from "../domain/Decision.ts"
import type { AccessRequest, Claimed, InvalidAccessRequest } from "./AccessRequest.ts"
import { decide, type Policy } from "./Policy.ts"
import { Tokens, type Unauthenticated } from "./Tokens.ts"

/** Why a request could not be decided, with what it claimed. */
export interface Undecidable {
  readonly message: string
  readonly claimed: Claimed
}

export interface Asked {
  /** The value of the `Authorization` header. */
  readonly authorization: string | undefined
  readonly requestId: string
  readonly access: Either.Either<AccessRequest, Undecidable | InvalidAccessRequest>
}

/** What became of a request. Each has its row in the trail before it is given: `auditId`. */
export type Outcome = Data.TaggedEnum<{
  Allowed: {
    readonly auditId: AuditId
    readonly ghostId: string
    readonly decision: Decision
    readonly policyVersion: string
  }
  Denied: {
    readonly auditId: AuditId
    readonly ghostId: string
    readonly decision: Decision
    readonly policyVersion: string
  }
  Unauthenticated: { readonly auditId: AuditId; readonly cause: Unauthenticated }
  Invalid: { readonly auditId: AuditId; readonly ghostId: string; readonly message: string }
}>
export const Outcome = Data.taggedEnum<Outcome>()
export type Allowed = Extract<Outcome, { readonly _tag: "Allowed" }>

/** A caller may name the shell that it speaks for; anything but a text is no shell, and stays in the metadata as it came. */
const shellOf = (metadata: unknown): string | null => {
  const shell = typeof metadata === "object" && metadata !== null ? Reflect.get(metadata, "shell_id") : undefined
  return typeof shell === "string" ? shell : null
}

const claimedBy = ({ access }: Asked): Claimed =>
  Either.match(access, { onLeft: ({ claimed }) => claimed, onRight: (request) => request })

const eventOf = (asked: Asked, ghostId: string | null, result: AuditResult, reason: string): AuditEvent => {
  const claimed = claimedBy(asked)
  return {
    action: claimed.action,
    resource: claimed.resource,
    ghostId,
    shellId: shellOf(claimed.metadata),
    result,
    reason,
    requestId: asked.requestId,
    metadata: claimed.metadata
  }
}

/** The one way to a decision: authenticate, decide, record, and only then answer. */
export class AccessControl extends Context.Tag("gatekeeper/AccessControl")<
  AccessControl,
  {
    /** Fails only when the trail cannot take the event: no decision without a record. */
    readonly ask: (asked: Asked) => Effect.Effect<Outcome, AuditUnavailable>
    /** Says in the trail that what was allowed was not given after all, and why. */
    readonly withdraw: (asked: Asked, allowed: Allowed, why: string) => Effect.Effect<void>
  }
>() {
  static readonly layer = (policy: Policy) =>
    Layer.effect(
      AccessControl,
      Effect.gen(function* () {
        const tokens = yield* Tokens
        const trail = yield* AuditLog

        const record = (asked: Asked, ghostId: string | null, result: AuditResult, reason: string) =>
          trail.record(eventOf(asked, ghostId, result, reason))

        return {
          ask: Effect.fnUntraced(function* (asked: Asked) {
            const caller = yield* Effect.either(tokens.verify(asked.authorization))
            if (Either.isLeft(caller)) {
              const auditId = yield* record(asked, null, "UNAUTHENTICATED", caller.left.reason)
              return Outcome.Unauthenticated({ auditId, cause: caller.left })
            }
            const ghostId = caller.right
            if (Either.isLeft(asked.access)) {
              const { message } = asked.access.left
              const auditId = yield* record(asked, ghostId, "INVALID", message)
              return Outcome.Invalid({ auditId, ghostId, message })
            }
            const { action, resource } = asked.access.right
            const decision = decide(policy, { ghostId, action, resource })
            const auditId = yield* record(asked, ghostId, decision.allowed ? "ALLOWED" : "DENIED", decision.reason)
            const given = { auditId, ghostId, decision, policyVersion: policy.version }
            return decision.allowed ? Outcome.Allowed(given) : Outcome.Denied(given)
          }),
          withdraw: (asked, { auditId, decision, ghostId }, why) =>
            trail.withdraw(eventOf(asked, ghostId, "ALLOWED", decision.reason), auditId, why)
        }
      })
    )
}
