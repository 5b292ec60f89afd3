import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { ClientSettings } from "../../clients/ClientSettings.ts"
import { GatekeeperClient } from "../../clients/GatekeeperClient.ts"
import { GuardianClient } from "../../clients/GuardianClient.ts"
import { type FeedProblem, Stops } from "../../clients/Stops.ts"
import { bearerClaims, type TokenClaims } from "../../clients/TokenClaims.ts"
import { type KeepSessions, maximumSessions } from "../../contracts/guardian/GuardianSchemas.ts"
import { describeStop, type Revocation, type StopList, sessionStop, tokenStop } from "../../domain/Stops.ts"
import { type Shell, shellResource } from "../models/Catalog.ts"
import type { AnswerEnd, ChatRequestContext } from "../route/ChatRequestContext.ts"

/** How often the end of tokens and sessions is looked for. Stops come by themselves. */
const interval = Schedule.spaced("1 second")

/** Questions to the gatekeeper at a time, when the policy has changed. */
const concurrentChecks = 16

/** What an answer under way depends on. */
export interface AnswerFacts {
  readonly ghostId: string | undefined
  readonly sessionId: string | undefined
  readonly token: TokenClaims
}

/** What is true now, for all answers. Times in milliseconds. */
export interface Present {
  readonly now: number
  readonly list: StopList
  readonly feedProblem: FeedProblem | undefined
  readonly clockTolerance: number
}

/** As the guardian's contract names a session. */
type SessionName = (typeof KeepSessions.Type)["done"][number]

const stopped = (stop: Revocation): AnswerEnd => ({
  closedBy: "stopped",
  code: stop.kind === "session" ? "session_over" : "unauthenticated",
  reason: describeStop(stop)
})

/** The ends of all answers, where the router hears of no stops. */
const endsOfFeed: Readonly<Record<FeedProblem, AnswerEnd>> = {
  silent: { closedBy: "stops_unknown", code: "peer_unavailable", reason: "the gatekeeper's feed of stops is silent" },
  stopped: { closedBy: "router_stopped", code: "peer_unavailable", reason: "the router itself was stopped" }
}

/** Why an answer under way must end now; undefined where it may go on. */
export const endOf = (
  { ghostId, sessionId, token }: AnswerFacts,
  { clockTolerance, feedProblem, list, now }: Present
): AnswerEnd | undefined => {
  // Before the gatekeeper has said who asks, nothing is answered.
  if (ghostId === undefined) return undefined
  const stop =
    tokenStop(list, ghostId, token, clockTolerance) ??
    // Without a start, only a stop of the session itself covers it.
    (sessionId === undefined ? undefined : sessionStop(list, ghostId, { id: sessionId, issuedAt: undefined }))
  if (stop !== undefined) return stopped(stop)
  if (token.expiresAt !== undefined && now >= token.expiresAt + clockTolerance) {
    return { closedBy: "token_expired", code: "unauthenticated", reason: "the token has expired" }
  }
  return feedProblem === undefined ? undefined : endsOfFeed[feedProblem]
}

/**
 * Watches all answers under way: ends those whose ghost, token or session was stopped, whose token or certificate has expired, whose
 * session is over, or whose ghost the policy no longer allows. Keeps their sessions alive by one call a second.
 */
export class AnswerWatch extends Context.Tag("router/chat/AnswerWatch")<
  AnswerWatch,
  {
    /** Watches a request until its scope ends. */
    readonly watch: (context: ChatRequestContext) => Effect.Effect<void>
    readonly unwatch: (context: ChatRequestContext) => Effect.Effect<void>
    /** Has a session ended whose ghost may no longer do so itself. */
    readonly endSession: (session: SessionName) => Effect.Effect<void>
  }
>() {
  static readonly layer = Layer.scoped(
    AnswerWatch,
    Effect.gen(function* () {
      const stops = yield* Stops
      const guardian = yield* GuardianClient
      const { clockTolerance } = yield* ClientSettings
      const open = new Map<ChatRequestContext, TokenClaims>()
      const done = new Set<SessionName>()

      const end = (context: ChatRequestContext, why: AnswerEnd) => Effect.sync(() => context.over.give(why))

      const endWhatIsOver = Effect.gen(function* () {
        const present: Present = {
          now: yield* Clock.currentTimeMillis,
          list: stops.list(),
          feedProblem: yield* stops.feedProblem,
          clockTolerance: Duration.toMillis(clockTolerance)
        }
        for (const [context, token] of open) {
          const { ghostId, sessionId } = context
          const why = endOf({ ghostId, sessionId, token }, present)
          if (why !== undefined) yield* end(context, why)
        }
      })

      const keepSessions = Effect.gen(function* () {
        const alive = [...open.keys()].flatMap((context) => {
          const { ghostId: agent, hasSession, sessionId: session_id } = context
          return !hasSession || agent === undefined || session_id === undefined
            ? []
            : [{ context, name: { agent, session_id } }]
        })
        const all = [...alive, ...[...done].map((name) => ({ context: undefined, name }))]
        for (const part of Arr.chunksOf(all, maximumSessions)) {
          const [ending, going] = Arr.partition(part, ({ context }) => context !== undefined)
          const over = yield* guardian.keepSessions({
            alive: going.map(({ name }) => name),
            done: ending.map(({ name }) => name)
          })
          for (const { name } of ending) done.delete(name)
          for (const { agent, code, reason, session_id } of over) {
            const lost = going.find(({ name }) => name.agent === agent && name.session_id === session_id)
            if (lost?.context !== undefined) yield* end(lost.context, { closedBy: "session_over", code, reason })
          }
        }
      })

      const recheck = checkPolicy(open, stops, yield* GatekeeperClient, end)

      const forever = (work: Effect.Effect<unknown>) =>
        Effect.forkScoped(
          Effect.repeat(
            Effect.catchAllCause(work, (cause) => Effect.logError("Answers under way could not be watched", cause)),
            interval
          )
        )
      yield* forever(endWhatIsOver)
      yield* forever(loggedOnce(keepSessions))
      yield* forever(recheck)
      yield* Effect.forkScoped(Stream.runForEach(stops.changes, () => endWhatIsOver))

      return {
        watch: (context) => Effect.sync(() => void open.set(context, bearerClaims(context.authorization))),
        unwatch: (context) => Effect.sync(() => void open.delete(context)),
        endSession: (session) => Effect.sync(() => void done.add(session))
      }
    })
  )
}

/** Logs a failure when it begins or changes. */
const loggedOnce = <E extends { readonly message: string }>(work: Effect.Effect<void, E>): Effect.Effect<void> => {
  let problem: string | undefined
  return Effect.matchEffect(work, {
    onSuccess: () =>
      Effect.sync(() => {
        problem = undefined
      }),
    onFailure: ({ message }) => {
      if (message === problem) return Effect.void
      problem = message
      return Effect.logWarning(`Sessions are not kept alive: ${message}`)
    }
  })
}

/** Asks again, for answers that began under another policy, whether the caller may use the shell. One question for all that are alike. */
const checkPolicy = (
  open: ReadonlyMap<ChatRequestContext, unknown>,
  stops: typeof Stops.Service,
  gatekeeper: typeof GatekeeperClient.Service,
  end: (context: ChatRequestContext, why: AnswerEnd) => Effect.Effect<unknown>
) => {
  const check = (version: string, contexts: Arr.NonEmptyReadonlyArray<ChatRequestContext>, shell: Shell) => {
    const { authorization, requestId } = contexts[0]
    const question = { authorization, requestId, action: "execute", resource: shellResource(shell) }
    return gatekeeper.authorize({ ...question, metadata: { shell_id: shell.name, checks: contexts.length } }).pipe(
      Effect.zipRight(
        Effect.sync(() => {
          for (const context of contexts) context.policyVersion = version
        })
      ),
      Effect.catchTags({
        NotAuthorized: ({ code, reason }) =>
          Effect.forEach(contexts, (context) => end(context, { closedBy: "access_withdrawn", code, reason }), {
            discard: true
          }),
        // Asked again a second later.
        PeerUnavailable: () => Effect.void
      })
    )
  }
  return Effect.suspend(() => {
    const version = stops.policyVersion()
    if (version === undefined) return Effect.void
    const outdated = [...open.keys()].flatMap((context) =>
      context.shell === undefined || context.policyVersion === version ? [] : [{ context, shell: context.shell }]
    )
    const alike = Object.values(
      Arr.groupBy(outdated, ({ context, shell }) => JSON.stringify([context.authorization, shell.name]))
    )
    return Effect.forEach(
      alike,
      (group) =>
        check(
          version,
          Arr.map(group, ({ context }) => context),
          group[0].shell
        ),
      { concurrency: concurrentChecks, discard: true }
    )
  })
}
