import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { AuditLog } from "../audit/AuditLog.ts"
import type { AuditUnavailable } from "../audit/AuditUnavailable.ts"
import type { AuditId } from "../audit/encoding/AuditId.ts"
import type { AuditEvent, AuditResult } from "../domain/AuditEvent.ts"
import type { Decision } from "../domain/Decision.ts"
import type { AccessRequest, Claimed, InvalidAccessRequest } from "./AccessRequest.ts"
import { type InForce, PolicyInForce } from "./policy/PolicyInForce.ts"
import { markAnonymous } from "./tokens/Anonymous.ts"
import type { Unauthenticated } from "./tokens/BearerToken.ts"
import type { KeysUnavailable } from "./tokens/KeyFetch.ts"
import { Tokens } from "./tokens/Tokens.ts"

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

/** A question about somebody who did not ask it: whoever asked was authenticated and allowed to. */
export interface AskedFor {
  readonly requestId: string
  /** Whom it is about; null where the question does not say. */
  readonly ghostId: string | null
  /** Who asked, where it is not whom it is about. */
  readonly askedBy?: string
  readonly access: Asked["access"]
}

/** A decision, and the policy that made it. */
export interface Decided {
  readonly auditId: AuditId
  readonly ghostId: string
  readonly decision: Decision
  readonly policyVersion: string
  /** For what is decided further in the same request. */
  readonly inForce: InForce
}

/** What became of a request. Each has its row in the trail before it is given: `auditId`. */
export type Outcome = Data.TaggedEnum<{
  Allowed: Decided
  Denied: Decided
  Unauthenticated: { readonly auditId: AuditId; readonly cause: Unauthenticated }
  KeysUnavailable: { readonly auditId: AuditId; readonly cause: KeysUnavailable }
  Invalid: { readonly auditId: AuditId; readonly ghostId: string | null; readonly message: string }
  /** Somebody is there, and nothing was decided: the one outcome without a row of its own. */
  Known: { readonly ghostId: string; readonly inForce: InForce }
}>
export const Outcome = Data.taggedEnum<Outcome>()
export type Allowed = Extract<Outcome, { readonly _tag: "Allowed" }>
export type Known = Extract<Outcome, { readonly _tag: "Known" }>
/** Nobody can decide about it. */
export type Unfit = Extract<Outcome, { readonly _tag: "Unauthenticated" | "KeysUnavailable" | "Invalid" }>

/** A caller may name the shell that it speaks for; anything but a text is no shell, and stays in the metadata as it came. */
const shellOf = (metadata: unknown): string | null => {
  const shell = typeof metadata === "object" && metadata !== null ? Reflect.get(metadata, "shell_id") : undefined
  return typeof shell === "string" ? shell : null
}

const claimedBy = (access: Asked["access"]): Claimed =>
  Either.match(access, { onLeft: ({ claimed }) => claimed, onRight: (request) => request })

const eventOf = (asked: AskedFor, result: AuditResult, reason: string): AuditEvent => {
  const claimed = claimedBy(asked.access)
  const event: AuditEvent = {
    action: claimed.action,
    resource: claimed.resource,
    ghostId: asked.ghostId,
    shellId: shellOf(claimed.metadata),
    result,
    reason,
    requestId: asked.requestId,
    metadata: claimed.metadata
  }
  return markAnonymous(event, asked.askedBy)
}

/** Why what was decided was not given, for `withdraw`. */
export const notGiven = (cause: Cause.Cause<{ readonly message: string }>): string =>
  Option.match(Cause.failureOption(cause), {
    onNone: () => (Cause.isInterruptedOnly(cause) ? "the caller left before the answer" : "the answer failed"),
    onSome: ({ message }) => message
  })

/**
 * The row's reason names the policy, before all that could be long: a reason is cut at its end. It stands there because the
 * metadata are the caller's words, and a column of its own would change what is hashed in every row there is.
 */
const recordedReason = ({ decision, policyVersion }: Pick<Decided, "decision" | "policyVersion">): string =>
  `policy ${policyVersion}: ${decision.reason}`

/** The one way to a decision: authenticate, decide, record, and only then answer. */
export class AccessControl extends Context.Tag("gatekeeper/AccessControl")<
  AccessControl,
  {
    /** Fails only when the trail cannot take the event: no decision without a record. */
    readonly ask: (asked: Asked) => Effect.Effect<Exclude<Outcome, Known>, AuditUnavailable>
    /** Who asks, for what each may do. Whoever is nobody, and what cannot be understood, is recorded as `ask` records it. */
    readonly identify: (asked: Asked) => Effect.Effect<Known | Unfit, AuditUnavailable>
    /** Decides about another than the caller, by the policy that let the caller ask. */
    readonly askFor: (
      asked: AskedFor,
      by: InForce
    ) => Effect.Effect<Extract<Outcome, { readonly _tag: "Allowed" | "Denied" | "Invalid" }>, AuditUnavailable>
    /** Records what was done for a caller that was let in. */
    readonly note: (event: AuditEvent) => Effect.Effect<AuditId, AuditUnavailable>
    /** Says in the trail that what was decided was not given after all, and why. */
    readonly withdraw: (asked: Omit<AskedFor, "ghostId">, decided: Decided, why: string) => Effect.Effect<void>
  }
>() {
  static readonly layer = Layer.effect(
    AccessControl,
    Effect.gen(function* () {
      const tokens = yield* Tokens
      const policies = yield* PolicyInForce
      const trail = yield* AuditLog

      const askFor = Effect.fnUntraced(function* (asked: AskedFor, inForce: InForce) {
        if (Either.isLeft(asked.access) || asked.ghostId === null) {
          const message = Either.isLeft(asked.access) ? asked.access.left.message : "it is about nobody"
          const auditId = yield* trail.record(eventOf(asked, "INVALID", message))
          return Outcome.Invalid({ auditId, ghostId: asked.ghostId, message })
        }
        const { ghostId } = asked
        const { action, resource } = asked.access.right
        const decision = inForce.index.decide({ ghostId, action, resource })
        const given = { ghostId, decision, policyVersion: inForce.policy.version, inForce }
        const result = decision.allowed ? "ALLOWED" : "DENIED"
        const auditId = yield* trail.record(eventOf(asked, result, recordedReason(given)))
        return decision.allowed ? Outcome.Allowed({ ...given, auditId }) : Outcome.Denied({ ...given, auditId })
      })

      const authenticate = Effect.fnUntraced(function* ({ access, authorization, requestId }: Asked) {
        const caller = yield* Effect.either(tokens.verify(authorization))
        if (Either.isRight(caller)) return Outcome.Known({ ghostId: caller.right, inForce: yield* policies.current })
        const cause = caller.left
        const auditId = yield* trail.record(
          eventOf({ access, requestId, ghostId: null }, "UNAUTHENTICATED", cause.message)
        )
        return cause._tag === "KeysUnavailable"
          ? Outcome.KeysUnavailable({ auditId, cause })
          : Outcome.Unauthenticated({ auditId, cause })
      })

      return {
        ask: Effect.fnUntraced(function* (asked: Asked) {
          const caller = yield* authenticate(asked)
          if (caller._tag !== "Known") return caller
          const { access, requestId } = asked
          return yield* askFor({ access, requestId, ghostId: caller.ghostId }, caller.inForce)
        }),
        identify: Effect.fnUntraced(function* (asked: Asked) {
          const caller = yield* authenticate(asked)
          if (caller._tag !== "Known" || Either.isRight(asked.access)) return caller
          const { ghostId } = caller
          const { message } = asked.access.left
          const auditId = yield* trail.record(eventOf({ ...asked, ghostId }, "INVALID", message))
          return Outcome.Invalid({ auditId, ghostId, message })
        }),
        note: (event) => trail.record(markAnonymous(event)),
        askFor,
        withdraw: (asked, decided, why) => {
          const { auditId, decision, ghostId } = decided
          const result = decision.allowed ? "ALLOWED" : "DENIED"
          return trail.withdraw(eventOf({ ...asked, ghostId }, result, recordedReason(decided)), auditId, why)
        }
      }
    })
  )
}

/**
 * Does what `allowed` allows. Where it comes to no answer, be it that it fails or that the caller leaves, the trail says so: an
 * error that is an answer is caught before.
 */
export const orWithdrawn =
  (access: typeof AccessControl.Service, asked: Omit<AskedFor, "ghostId">, allowed: Allowed) =>
  <A, E extends { readonly message: string }, R>(answer: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.onError(answer, (cause) => access.withdraw(asked, allowed, notGiven(cause)))
