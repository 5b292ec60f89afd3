import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { AuditLog } from "../audit/AuditLog.ts"
import type { AuditUnavailable } from "../audit/AuditUnavailable.ts"
import type { AuditId } from "../audit/encoding/AuditId.ts"
import { Stops } from "../clients/Stops.ts"
import { type AuditEvent, type AuditResult, metadataWithheld } from "../domain/AuditEvent.ts"
import type { Decision } from "../domain/Decision.ts"
import { describeStop, ghostStop, tokenStop } from "../domain/Stops.ts"
import { memberOf } from "../domain/Text.ts"
import type { RequestSource } from "../platform/http/RequestContext.ts"
import type { AccessClaim, AccessRequest, QuestionProblem } from "./AccessRequest.ts"
import type { PolicyQuestion } from "./policy/Policy.ts"
import { PolicyInForce, type PolicySnapshot } from "./policy/PolicyInForce.ts"
import { hasServiceRight, isServiceUse, serviceRight } from "./ServiceRights.ts"
import { markAnonymous, Unauthenticated } from "./tokens/BearerToken.ts"
import type { KeysUnavailable } from "./tokens/KeyFetch.ts"
import { TokenSettings } from "./tokens/TokenSettings.ts"
import { Tokens, type TokenUse } from "./tokens/Tokens.ts"
import { overlong } from "./tokens/TokenVerification.ts"
import type { VerifiedToken } from "./tokens/VerifiedTokens.ts"

/** A question of a caller about itself: may I do this? */
export interface AccessQuestion {
  /** The value of the `Authorization` header. */
  readonly authorization: string | undefined
  readonly requestId: string
  readonly access: Either.Either<AccessRequest, QuestionProblem>
  /** What the token is used for; by default the request itself. */
  readonly use?: TokenUse
}

/** A question about a subject. The gatekeeper has already authenticated the caller and allowed it to ask. */
export interface SubjectQuestion {
  readonly requestId: string
  /** The subject; null where the question does not name one. */
  readonly ghostId: string | null
  /** The caller, if it is not the subject. */
  readonly askedBy?: string
  readonly access: AccessQuestion["access"]
}

/** A decision whose row is in the trail, and the policy that made it. */
export interface RecordedDecision {
  readonly auditId: AuditId
  readonly ghostId: string
  readonly decision: Decision
  readonly policyVersion: string
  /** Later decisions of the same request are made by this policy too. */
  readonly snapshot: PolicySnapshot
  /** The caller's token, where the decision is about the caller. */
  readonly token?: VerifiedToken
}

/** What came of a question. Its row, `auditId`, is recorded before the outcome is returned. */
export type Outcome = Data.TaggedEnum<{
  Allowed: RecordedDecision
  Denied: RecordedDecision
  Unauthenticated: { readonly auditId: AuditId; readonly cause: Unauthenticated }
  KeysUnavailable: { readonly auditId: AuditId; readonly cause: KeysUnavailable }
  Invalid: { readonly auditId: AuditId; readonly ghostId: string | null; readonly message: string }
  /** The only outcome without a row: the caller is authenticated, and nothing is decided. */
  Authenticated: { readonly ghostId: string; readonly token: VerifiedToken; readonly snapshot: PolicySnapshot }
}>
export const Outcome = Data.taggedEnum<Outcome>()
export type AllowedOutcome = Extract<Outcome, { readonly _tag: "Allowed" }>
export type AuthenticatedOutcome = Extract<Outcome, { readonly _tag: "Authenticated" }>
/** The policy cannot decide: the caller is not authenticated, or the request is not valid. */
export type UndecidedOutcome = Extract<Outcome, { readonly _tag: "Unauthenticated" | "KeysUnavailable" | "Invalid" }>

/** A caller may name its shell; the gatekeeper does not check it. A value that is not a text stays in the metadata only. */
const shellOf = (metadata: unknown): string | null => {
  const shell = memberOf(metadata, "shell_id")
  return typeof shell === "string" ? shell : null
}

/** The claim of a question: what the request says of itself, unchecked. */
const claimOf = (access: AccessQuestion["access"]): AccessClaim =>
  Either.match(access, { onLeft: ({ claimed }) => claimed, onRight: (request) => request })

const eventOf = (question: SubjectQuestion, result: AuditResult, reason: string): AuditEvent => {
  const claim = claimOf(question.access)
  const event: AuditEvent = {
    action: claim.action,
    resource: claim.resource,
    ghostId: question.ghostId,
    shellId: shellOf(claim.metadata),
    result,
    reason,
    requestId: question.requestId,
    metadata: claim.metadata,
    ...(claim.facts === undefined ? {} : { facts: claim.facts })
  }
  return markAnonymous(event, question.askedBy)
}

const isEmpty = (metadata: unknown): boolean =>
  metadata === undefined || (typeof metadata === "object" && metadata !== null && Object.keys(metadata).length === 0)

/** Anyone can send a request without a valid token, so the trail does not keep what it says of itself, its shell included. */
const withoutMetadata = (event: AuditEvent): AuditEvent =>
  isEmpty(event.metadata) && event.facts === undefined
    ? event
    : { ...event, metadata: {}, facts: {}, shellId: null, marks: [...(event.marks ?? []), metadataWithheld] }

/** Why a recorded decision was not returned to the caller; the reason of its `WITHDRAWN` row. */
export const withdrawalReason = (cause: Cause.Cause<{ readonly message: string }>): string =>
  Option.match(Cause.failureOption(cause), {
    onNone: () => (Cause.isInterruptedOnly(cause) ? "the caller left before the answer" : "the answer failed"),
    onSome: ({ message }) => message
  })

/**
 * The reason of a decision's row. The trail cuts a long reason at its end, so the policy's version comes first. The version has no
 * column of its own: that would change the hash of every row.
 */
const recordedReason = ({ decision, policyVersion }: Pick<RecordedDecision, "decision" | "policyVersion">): string =>
  `policy ${policyVersion}: ${decision.reason}`

/** A question that is decided, or cannot be: its event, and its outcome once that is recorded. */
interface Judgement {
  readonly event: AuditEvent
  readonly outcome: (auditId: AuditId) => Extract<Outcome, { readonly _tag: "Allowed" | "Denied" | "Invalid" }>
}

/** The decision of the policy, and what overrules it: stops, and the rights of services. */
const makeRules = (stops: typeof Stops.Service, jwt: typeof TokenSettings.Service) => {
  const tolerance = Duration.toMillis(jwt.clockTolerance)

  const stopped = (ghostId: string): Decision | undefined => {
    const stop = ghostStop(stops.list(), ghostId)
    return stop === undefined ? undefined : { allowed: false, groups: [], matched: null, reason: describeStop(stop) }
  }

  /** By the policy, unless the subject is stopped; what services need is allowed whatever the policy says. */
  const decide = (question: PolicyQuestion, { index }: PolicySnapshot): Decision => {
    const stop = stopped(question.ghostId)
    if (stop !== undefined) return stop
    const decision = index.decide(question)
    return !decision.allowed && hasServiceRight(question, index) ? serviceRight : decision
  }

  /** Why a verified token is not accepted all the same. */
  const refusalOfToken = (token: VerifiedToken, access: AccessQuestion["access"]): Unauthenticated | undefined => {
    const stop = tokenStop(stops.list(), token.ghostId, token, tolerance)
    if (stop !== undefined) return new Unauthenticated({ problem: "invalid", reason: describeStop(stop) })
    return token.isOverlong && !isServiceUse(claimOf(access))
      ? new Unauthenticated({ problem: "invalid", reason: overlong(jwt) })
      : undefined
  }

  const judge = (question: SubjectQuestion, snapshot: PolicySnapshot, token?: VerifiedToken): Judgement => {
    const { access, ghostId } = question
    if (Either.isLeft(access) || ghostId === null) {
      const message = Either.isLeft(access) ? access.left.message : "the question has no subject"
      return {
        event: eventOf(question, "INVALID", message),
        outcome: (auditId) => Outcome.Invalid({ auditId, ghostId, message })
      }
    }
    const { action, resource } = access.right
    const decision = decide({ ghostId, action, resource }, snapshot)
    const made = { ghostId, decision, policyVersion: snapshot.policy.version, snapshot }
    return {
      event: eventOf(question, decision.allowed ? "ALLOWED" : "DENIED", recordedReason(made)),
      outcome: (auditId) => {
        const recorded = token === undefined ? { ...made, auditId } : { ...made, auditId, token }
        return decision.allowed ? Outcome.Allowed(recorded) : Outcome.Denied(recorded)
      }
    }
  }

  return { stopped, judge, refusalOfToken }
}

/** Authenticates, decides, records, then returns. Fails only if the trail does not accept the event; `withdraw` never fails. */
export class AccessControl extends Context.Tag("gatekeeper/AccessControl")<
  AccessControl,
  {
    /** Decides about the caller. */
    readonly ask: (question: AccessQuestion) => Effect.Effect<Exclude<Outcome, AuthenticatedOutcome>, AuditUnavailable>
    /**
     * Decides about the caller of `request` without a fiber, where nothing has to be waited for: its token is known, and its event is
     * recorded at once. Returns undefined otherwise, and nothing is recorded then; `ask` leaves the same row.
     */
    readonly askAtOnce: (
      question: AccessQuestion,
      request: RequestSource
    ) => Extract<Outcome, { readonly _tag: "Allowed" | "Denied" | "Invalid" }> | AuditUnavailable | undefined
    /** Authenticates only. Unauthenticated and malformed requests are recorded as by `ask`. */
    readonly identify: (
      question: AccessQuestion
    ) => Effect.Effect<AuthenticatedOutcome | UndecidedOutcome, AuditUnavailable>
    /** Decides about a subject, by the policy that let the caller ask. */
    readonly askFor: (
      question: SubjectQuestion,
      snapshot: PolicySnapshot
    ) => Effect.Effect<Extract<Outcome, { readonly _tag: "Allowed" | "Denied" | "Invalid" }>, AuditUnavailable>
    /** The decision about a ghost that is stopped; undefined about another. */
    readonly stopped: (ghostId: string) => Decision | undefined
    /** Records what an allowed caller did. */
    readonly record: (event: AuditEvent) => Effect.Effect<AuditId, AuditUnavailable>
    /** Records that a decision was not returned to the caller, and why. */
    readonly withdraw: (
      question: Omit<SubjectQuestion, "ghostId">,
      recorded: RecordedDecision,
      why: string
    ) => Effect.Effect<void>
  }
>() {
  static readonly layer = Layer.effect(
    AccessControl,
    Effect.gen(function* () {
      const tokens = yield* Tokens
      const policies = yield* PolicyInForce
      const trail = yield* AuditLog
      const { judge, refusalOfToken, stopped } = makeRules(yield* Stops, yield* TokenSettings)

      const askFor = (question: SubjectQuestion, snapshot: PolicySnapshot, token?: VerifiedToken) =>
        Effect.suspend(() => {
          const { event, outcome } = judge(question, snapshot, token)
          return Effect.map(trail.record(event), outcome)
        })

      const authenticate = Effect.fnUntraced(function* ({ access, authorization, requestId, use }: AccessQuestion) {
        const caller = yield* Effect.either(
          Effect.flatMap(
            tokens.verify(authorization, use),
            (token): Effect.Effect<VerifiedToken, Unauthenticated> =>
              refusalOfToken(token, access) ?? Effect.succeed(token)
          )
        )
        if (Either.isRight(caller)) {
          const token = caller.right
          return Outcome.Authenticated({ ghostId: token.ghostId, token, snapshot: yield* policies.current })
        }
        const cause = caller.left
        // Without the keys the caller is not authenticated either; only the answer differs.
        const event = eventOf({ access, requestId, ghostId: null }, "UNAUTHENTICATED", cause.message)
        const auditId = yield* trail.record(withoutMetadata(event))
        return cause._tag === "KeysUnavailable"
          ? Outcome.KeysUnavailable({ auditId, cause })
          : Outcome.Unauthenticated({ auditId, cause })
      })

      return {
        ask: Effect.fnUntraced(function* (question: AccessQuestion) {
          const caller = yield* authenticate(question)
          if (caller._tag !== "Authenticated") return caller
          const { access, requestId } = question
          return yield* askFor({ access, requestId, ghostId: caller.ghostId }, caller.snapshot, caller.token)
        }),
        askAtOnce: ({ access, authorization, requestId, use }, request) => {
          const token = tokens.known(authorization, use)
          if (token === undefined || refusalOfToken(token, access) !== undefined) return undefined
          const question = { access, requestId, ghostId: token.ghostId }
          const { event, outcome } = judge(question, policies.now(), token)
          const auditId = trail.recordAtOnce?.(event, request)
          return typeof auditId === "string" ? outcome(auditId) : auditId
        },
        identify: Effect.fnUntraced(function* (question: AccessQuestion) {
          const caller = yield* authenticate(question)
          if (caller._tag !== "Authenticated" || Either.isRight(question.access)) return caller
          const { ghostId } = caller
          const { message } = question.access.left
          const auditId = yield* trail.record(eventOf({ ...question, ghostId }, "INVALID", message))
          return Outcome.Invalid({ auditId, ghostId, message })
        }),
        stopped,
        record: (event) => trail.record(markAnonymous(event)),
        askFor,
        withdraw: (question, recorded, why) => {
          const { auditId, decision, ghostId } = recorded
          const result = decision.allowed ? "ALLOWED" : "DENIED"
          return trail.withdraw(eventOf({ ...question, ghostId }, result, recordedReason(recorded)), auditId, why)
        }
      }
    })
  )
}

/**
 * Runs what `allowed` permits. Where it fails or the caller leaves, there is no answer, and the trail records the permission as
 * withdrawn. Catch a failure that is itself an answer inside `answer`, or its permission is withdrawn too.
 */
export const withdrawOnFailure =
  (access: typeof AccessControl.Service, question: Omit<SubjectQuestion, "ghostId">, allowed: AllowedOutcome) =>
  <A, E extends { readonly message: string }, R>(answer: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.onError(answer, (cause) => access.withdraw(question, allowed, withdrawalReason(cause)))
