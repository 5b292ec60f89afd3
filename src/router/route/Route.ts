import { randomBytes } from "node:crypto"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { AuditLog } from "../../audit/AuditLog.ts"
import type { AuditUnavailable } from "../../audit/AuditUnavailable.ts"
import type { AuditId } from "../../audit/encoding/AuditId.ts"
import { GatekeeperClient } from "../../clients/GatekeeperClient.ts"
import { GuardianClient, type GuardianRefused } from "../../clients/GuardianClient.ts"
import type { Shell } from "../models/Catalog.ts"
import { shellResource } from "../models/ShellResource.ts"
import type { ChatRequest } from "../protocol/ChatRequest.ts"
import type { ProviderFailure } from "../providers/ProviderFailure.ts"
import { Providers } from "../providers/Providers.ts"
import { attempt, type ShellAnswer } from "./Attempt.ts"
import { refusalOfDenial, refusalOfUnavailable } from "./CallerIdentity.ts"
import type { ChatRequestContext } from "./ChatRequestContext.ts"
import { recordRouteEvent } from "./RouteAudit.ts"
import { type RouteRefused, refusalOfFailure, refusalOfTrail, refused } from "./RouteRefused.ts"
import type { Candidates } from "./Routing.ts"
import { sessionIdOf } from "./SessionId.ts"

/** A shell answers: `auditId` is the row that says which. */
export interface RoutedAnswer {
  readonly answer: ShellAnswer
  readonly shell: Shell
  readonly auditId: AuditId
}

const newSessionId = (requestId: string) => Effect.sync(() => sessionIdOf(requestId, randomBytes(6).toString("hex")))

const refusalOfGuardian = ({ code, reason }: GuardianRefused, auditId: AuditId): RouteRefused =>
  refused({
    code: code === "unauthenticated" || code === "access_denied" || code === "not_certified" ? code : "session_refused",
    reason,
    auditId
  })

/** Whether an answer that is under way may not go on: its agent or its session is in force no longer. */
const endsAnswer = ({ code }: GuardianRefused): boolean => code === "session_over" || code === "not_certified"

/**
 * From candidates to an answer: each is authorised anew; the caller is certified, and its session started, once; then the
 * provider is asked. Who does not answer is followed by the next, until the first piece of an answer is there.
 */
export class Route extends Context.Tag("router/route/Route")<
  Route,
  {
    readonly open: (
      context: ChatRequestContext,
      request: ChatRequest,
      candidates: Candidates
    ) => Effect.Effect<RoutedAnswer, RouteRefused, Scope.Scope>
  }
>() {
  static readonly layer = Layer.effect(
    Route,
    Effect.gen(function* () {
      const gatekeeper = yield* GatekeeperClient
      const guardian = yield* GuardianClient
      const providers = yield* Providers
      const trail = yield* AuditLog

      const recorded = (told: Effect.Effect<AuditId, AuditUnavailable>) => Effect.mapError(told, refusalOfTrail)
      const absent = (context: ChatRequestContext) => (peer: Parameters<typeof refusalOfUnavailable>[2]) =>
        Effect.flatMap(refusalOfUnavailable(trail, context, peer), Effect.fail)

      const refuseFor = (context: ChatRequestContext) => (refusal: GuardianRefused) =>
        recorded(
          recordRouteEvent(trail, context, {
            action: "route",
            result: "DENIED",
            reason: refusal.reason,
            metadata: { code: refusal.code, peer: "guardian" }
          })
        ).pipe(Effect.flatMap((auditId) => Effect.fail(refusalOfGuardian(refusal, auditId))))

      const startSession = Effect.fn("Route.startSession")(function* (context: ChatRequestContext, agent: string) {
        const { authorization, requestId } = context
        const sessionId = yield* newSessionId(requestId)
        yield* guardian.certified({ authorization, requestId, agent }).pipe(
          Effect.zipRight(
            // Noted as soon as it may exist, so that it is ended if the client leaves meanwhile.
            Effect.suspend(() => {
              context.sessionId = sessionId
              return guardian.startSession({
                authorization,
                requestId,
                agent,
                sessionId,
                metadata: { request_id: requestId, model: context.request?.model ?? "" }
              })
            })
          ),
          Effect.catchTags({
            PeerUnavailable: absent(context),
            GuardianRefused: (refusal) => {
              context.sessionId = undefined
              return refuseFor(context)(refusal)
            }
          })
        )
        // Until the request's scope ends: an answer may be under way for longer than a session may be silent.
        yield* guardian.keepAlive({ authorization, requestId, sessionId }).pipe(
          Effect.flatMap((refusal) =>
            endsAnswer(refusal) ? Deferred.succeed(context.sessionOver, refusal) : Effect.succeed(false)
          ),
          Effect.forkScoped
        )
      })

      /** The caller's name, or why this shell is not for it. Fails where no other shell would help. */
      const authorize = Effect.fn("Route.authorize")(function* (
        context: ChatRequestContext,
        request: ChatRequest,
        shell: Shell,
        place: number
      ) {
        const { authorization, requestId } = context
        const resource = shellResource(shell)
        const metadata = { shell_id: shell.name, model: request.model, candidate: place, stream: request.stream }
        return yield* gatekeeper.authorize({ authorization, requestId, action: "execute", resource, metadata }).pipe(
          Effect.map(({ ghostId }) => Either.right(ghostId)),
          Effect.catchTags({
            PeerUnavailable: absent(context),
            NotAuthorized: (denial) =>
              denial.code === "unauthenticated"
                ? Effect.fail(refusalOfDenial(denial))
                : Effect.succeed(Either.left(refusalOfDenial(denial)))
          })
        )
      })

      /** No shell is left: the last failure decides the answer, all of them are in the row. */
      const noAnswer = (context: ChatRequestContext, last: ProviderFailure) =>
        recorded(
          recordRouteEvent(trail, context, {
            action: "route",
            result: "DENIED",
            reason: last.message,
            metadata: { code: refusalOfFailure(last).code }
          })
        ).pipe(
          Effect.flatMap((auditId) => {
            const { code, reason, retryAfterMillis } = refusalOfFailure(last)
            return Effect.fail(refused({ code, reason, auditId, retryAfterMillis }))
          })
        )

      return {
        open: Effect.fn("Route.open")(function* (context, request, candidates) {
          let denied: RouteRefused | undefined
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
              const { failure, shell: before } = failed
              yield* recorded(
                recordRouteEvent(trail, context, {
                  action: "route.fallback",
                  result: "DENIED",
                  reason: failure.message,
                  shell: before,
                  metadata: { kind: failure.kind, next: shell.name }
                })
              )
            }
            context.shell = shell
            const answer = yield* Effect.either(attempt(providers.get(shell.provider), shell, request)).pipe(
              Effect.raceFirst(Effect.flatMap(Deferred.await(context.sessionOver), refuseFor(context)))
            )
            if (Either.isLeft(answer)) {
              failed = { shell, failure: answer.left }
              context.tried.push(`${shell.name}: ${answer.left.message}`)
              continue
            }
            const auditId = yield* recorded(
              recordRouteEvent(trail, context, {
                action: "route",
                result: "ALLOWED",
                reason: `${shell.name} answers`
              })
            )
            return { answer: answer.right, shell, auditId }
          }
          if (failed !== undefined) return yield* noAnswer(context, failed.failure)
          return yield* denied ?? refused({ code: "access_denied", reason: "no shell may answer" })
        })
      }
    })
  )
}
