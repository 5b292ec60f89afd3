import { randomBytes } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { AuditLog } from "../../audit/AuditLog.ts"
import { GatekeeperClient } from "../../clients/GatekeeperClient.ts"
import { GuardianClient } from "../../clients/GuardianClient.ts"
import type { Refusal } from "../../platform/http/ErrorResponse.ts"
import { unlessEnded } from "../../platform/os/Deadline.ts"
import { inSpan } from "../../platform/telemetry/Traced.ts"
import { type Shell, shellResource } from "../models/Catalog.ts"
import type { ChatRequest } from "../protocol/ChatRequest.ts"
import type { ProviderFailure } from "../providers/Provider.ts"
import { Providers } from "../providers/Providers.ts"
import { attempt } from "./Attempt.ts"
import { type AnswerEnd, type ChatRequestContext, type RouteEvent, recordRouteEvent } from "./ChatRequestContext.ts"
import { refusalOfDenial, refusalOfFailure, refusalOfTrail, refuseUnavailable, routeRefused } from "./RouteRefused.ts"
import type { Candidates } from "./Routing.ts"

/**
 * A session's id holds the request's id, so that it can be found, and ends in random digits, so that no other caller can start it first.
 * It is one segment, because the guardian refuses the segments "." and "..", and a request's id may be `./build/7`.
 */
export const sessionIdOf = (requestId: string, random: string): string => `${requestId.replaceAll("/", "_")}.${random}`

const record = (context: ChatRequestContext, event: RouteEvent) =>
  Effect.mapError(recordRouteEvent(context, event), refusalOfTrail)

const shown = ["unauthenticated", "too_many_failures", "access_denied", "not_certified", "peer_unavailable"] as const

/** Refuses and records a request that the guardian refused, or that must end before its answer has begun. */
const refuse = (
  context: ChatRequestContext,
  { code, reason }: Pick<AnswerEnd, "code" | "reason">,
  more: { readonly peer: "guardian" } | { readonly closed_by: AnswerEnd["closedBy"] }
) =>
  Effect.gen(function* () {
    const auditId = yield* record(context, { action: "route", result: "DENIED", reason, facts: { code, ...more } })
    return yield* routeRefused({ code: shown.find((one) => one === code) ?? "session_refused", reason, auditId })
  })

/** Checks the agent's certificate, and starts its session. AnswerWatch keeps that alive until the request's scope ends. */
const startSession = Effect.fnUntraced(function* (context: ChatRequestContext, agent: string) {
  const guardian = yield* GuardianClient
  const { authorization, requestId } = context
  const sessionId = yield* Effect.sync(() => sessionIdOf(requestId, randomBytes(6).toString("hex")))
  yield* guardian.certified({ authorization, requestId, agent }).pipe(
    Effect.zipRight(
      // Noted as soon as the session may exist, so that it is ended if the client leaves meanwhile.
      Effect.suspend(() => {
        context.sessionId = sessionId
        const metadata = { request_id: requestId, model: context.request?.model ?? "" }
        return guardian.startSession({ authorization, requestId, agent, sessionId, metadata })
      })
    ),
    Effect.catchTags({
      PeerUnavailable: (unavailable) => refuseUnavailable(context, unavailable),
      GuardianRefused: (refusal) => {
        context.sessionId = undefined
        return refuse(context, refusal, { peer: "guardian" })
      }
    })
  )
  context.hasSession = true
}, inSpan("Route.startSession"))

/** Returns the caller's name, or why it may not use this shell. Fails where no other shell would help. */
const authorize = Effect.fnUntraced(function* (
  context: ChatRequestContext,
  request: ChatRequest,
  shell: Shell,
  candidate: number
) {
  const gatekeeper = yield* GatekeeperClient
  const { authorization, requestId } = context
  const resource = shellResource(shell)
  const metadata = { shell_id: shell.name, model: request.model, candidate, stream: request.stream }
  return yield* gatekeeper.authorize({ authorization, requestId, action: "execute", resource, metadata }).pipe(
    Effect.map(({ ghostId }) => Either.right(ghostId)),
    Effect.catchTags({
      PeerUnavailable: (unavailable) => refuseUnavailable(context, unavailable),
      NotAuthorized: (denial) =>
        denial.isAuthenticated
          ? Effect.succeed(Either.left(refusalOfDenial(denial)))
          : Effect.fail(refusalOfDenial(denial))
    })
  )
}, inSpan("Route.authorize"))

/** Refuses a request that no shell answered: the last failure decides the error, the row has all of them. */
const refuseUnanswered = (context: ChatRequestContext, last: ProviderFailure) =>
  Effect.gen(function* () {
    const refusal = refusalOfFailure(last)
    const auditId = yield* record(context, {
      action: "route",
      result: "DENIED",
      reason: last.message,
      facts: { code: refusal.code }
    })
    return yield* routeRefused({ ...refusal, auditId })
  })

/** How the candidates of a request are asked. */
export interface RouteRules {
  /** Whether the next one is asked where one refuses what the request is about. */
  readonly fallsBackOnRefusal: boolean
}

/**
 * Asks the candidates, one after the other, until the first part of an answer is there. Each one is authorised before; the caller
 * is certified, and its session started, once. Returns the shell that answers, with the id of the row that records it.
 */
export const openRoute = Effect.fnUntraced(function* (
  context: ChatRequestContext,
  request: ChatRequest,
  candidates: Candidates,
  { fallsBackOnRefusal }: RouteRules
) {
  const providers = yield* Providers
  let denied: Refusal | undefined
  let failed: { readonly shell: Shell; readonly failure: ProviderFailure } | undefined
  for (const [i, shell] of candidates.entries()) {
    const caller = yield* authorize(context, request, shell, i + 1)
    if (Either.isLeft(caller)) {
      denied ??= caller.left
      continue
    }
    context.ghostId = caller.right
    if (context.sessionId === undefined) yield* startSession(context, caller.right)
    if (failed !== undefined) {
      yield* record(context, {
        action: "route.fallback",
        result: "DENIED",
        reason: failed.failure.message,
        shell: failed.shell,
        facts: { kind: failed.failure.kind, next: shell.name }
      })
    }
    context.shell = shell
    const answer = yield* Effect.either(attempt(providers.get(shell), shell, request)).pipe(
      unlessEnded<Refusal, AuditLog>((end) =>
        context.over.listen((why) => end(refuse(context, why, { closed_by: why.closedBy })))
      )
    )
    if (Either.isLeft(answer)) {
      failed = { shell, failure: answer.left }
      context.tried.push(`${shell.name}: ${answer.left.message}`)
      // Another model might say what this one must not.
      if (answer.left.kind === "refused" && !fallsBackOnRefusal) break
      continue
    }
    const auditId = yield* record(context, { action: "route", result: "ALLOWED", reason: `${shell.name} answers` })
    return { answer: answer.right, shell, auditId }
  }
  if (failed !== undefined) return yield* refuseUnanswered(context, failed.failure)
  return yield* denied ?? routeRefused({ code: "access_denied", reason: "no shell may answer" })
}, inSpan("Route.open"))
