import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { ClientSettings } from "../../../src/clients/ClientSettings.ts"
import { GatekeeperClient, NotAuthorized } from "../../../src/clients/GatekeeperClient.ts"
import { GuardianClient } from "../../../src/clients/GuardianClient.ts"
import { PeerUnavailable } from "../../../src/clients/PeerCall.ts"
import { Stops } from "../../../src/clients/Stops.ts"
import type { KeepSessions } from "../../../src/contracts/guardian/GuardianSchemas.ts"
import { emptyStopList, type Revocation, stopListOf } from "../../../src/domain/Stops.ts"
import { type AnswerFacts, AnswerWatch, endOf, type Present } from "../../../src/router/chat/AnswerWatch.ts"
import { type ChatRequestContext, makeChatRequestContext } from "../../../src/router/route/ChatRequestContext.ts"

const revocation = (kind: Revocation["kind"], subject: string, at = 5_000): Revocation => ({
  no: 1,
  id: `${kind}-${subject}`,
  kind,
  subject,
  effect: "stop",
  at,
  by: "admin",
  reason: null
})

const facts: AnswerFacts = {
  ghostId: "Scout",
  sessionId: "session",
  token: { id: "jti", issuedAt: 1_000, expiresAt: 90_000 }
}
const present: Present = { now: 10_000, list: emptyStopList, feedProblem: undefined, clockTolerance: 0 }

describe("an answer under way", () => {
  it.each<readonly [string, Partial<AnswerFacts>, Partial<Present>, string | undefined]>([
    ["goes on while nothing has ended", {}, {}, undefined],
    ["ends with its ghost", {}, { list: stopListOf([revocation("ghost", "Scout")]) }, "stopped"],
    ["ends with its token's id", {}, { list: stopListOf([revocation("token", "jti")]) }, "stopped"],
    ["ends with its session", {}, { list: stopListOf([revocation("session", "session")]) }, "stopped"],
    ["ends with its session by agent", {}, { list: stopListOf([revocation("session", "Scout/session")]) }, "stopped"],
    ["goes on with another's", {}, { list: stopListOf([revocation("session", "Librarian/session")]) }, undefined],
    ["goes on when another is stopped", {}, { list: stopListOf([revocation("ghost", "scout")]) }, undefined],
    ["goes on until the token's last millisecond", {}, { now: 89_999 }, undefined],
    ["ends when the token expires", {}, { now: 90_000 }, "token_expired"],
    ["goes on within the clock tolerance", {}, { now: 90_000, clockTolerance: 5_000 }, undefined],
    ["ends after the clock tolerance", {}, { now: 95_000, clockTolerance: 5_000 }, "token_expired"],
    ["goes on without a token", { token: { id: undefined, issuedAt: undefined, expiresAt: undefined } }, {}, undefined],
    ["ends when the feed is silent", {}, { feedProblem: "silent" }, "stops_unknown"],
    ["ends when the router itself is stopped", {}, { feedProblem: "stopped" }, "router_stopped"],
    [
      "ends for the stop, also when the feed is silent since",
      {},
      { feedProblem: "silent", list: stopListOf([revocation("ghost", "Scout")]) },
      "stopped"
    ],
    [
      "waits for the gatekeeper's word on who asks",
      { ghostId: undefined },
      { now: 99_000, feedProblem: "silent" },
      undefined
    ]
  ])("%s", (_, fact, now, expected) => {
    expect(endOf({ ...facts, ...fact }, { ...present, ...now })?.closedBy).toBe(expected)
  })
})

const settings = Layer.succeed(ClientSettings, {
  peerUrls: { gatekeeper: Option.none(), guardian: Option.none() },
  peerCaFile: Option.none(),
  peerTimeout: Duration.seconds(2),
  sessionTimeout: Duration.minutes(15),
  clockTolerance: Duration.zero,
  stopFeedGrace: Duration.seconds(15)
})

/** A watch of one answer, and what its peers are asked. */
const watched = (peers: {
  readonly keep?: typeof GuardianClient.Service.keepSessions
  readonly authorize?: typeof GatekeeperClient.Service.authorize
  readonly policy?: () => string
  readonly session?: string
}) =>
  Effect.gen(function* () {
    const context: ChatRequestContext = {
      ...makeChatRequestContext({
        requestId: "r",
        authorization: undefined,
        startedAtMillis: 0,
        storeContent: false,
        policyVersion: "one"
      }),
      ghostId: "Scout",
      sessionId: peers.session ?? "session",
      hasSession: true,
      shell: { name: "echo", provider: "echo", upstreamModel: "echo", tier: "L1" }
    }
    const built = yield* Layer.build(
      AnswerWatch.layer.pipe(
        Layer.provide([
          settings,
          Layer.mock(GuardianClient, { keepSessions: peers.keep ?? (() => Effect.succeed([])) }),
          Layer.mock(GatekeeperClient, peers.authorize === undefined ? {} : { authorize: peers.authorize }),
          Layer.succeed(Stops, {
            list: () => emptyStopList,
            policyVersion: peers.policy ?? (() => "one"),
            changes: Stream.never,
            feedProblem: Effect.succeed(undefined)
          })
        ])
      )
    )
    const watch = yield* AnswerWatch.pipe(Effect.provide(built))
    yield* watch.watch(context)
    const over = Effect.sync(() => context.over.given()?.closedBy)
    return { watch, over, context }
  })

const another = { agent: "Librarian", session_id: "another" }

describe("the watch of answers", () => {
  it.scoped("asks the guardian about all sessions in one call a second, and ends the answer of one that is over", () =>
    Effect.gen(function* () {
      const asked: Array<typeof KeepSessions.Type> = []
      let isOver = false
      const { over, watch } = yield* watched({
        keep: (sessions) =>
          Effect.sync(() => {
            asked.push(sessions)
            return isOver ? [{ agent: "Scout", session_id: "session", code: "session_over", reason: "it ended" }] : []
          })
      })
      yield* watch.endSession(another)
      yield* TestClock.adjust("3 seconds")
      expect(asked.flatMap(({ done }) => done)).toEqual([another])
      expect(asked.at(-1)).toEqual({ alive: [{ agent: "Scout", session_id: "session" }], done: [] })
      expect(yield* over).toBeUndefined()
      isOver = true
      yield* TestClock.adjust("1 second")
      expect(yield* over).toBe("session_over")
    })
  )

  it.scoped("goes on while the guardian does not answer, and tries to end a session until it is ended", () =>
    Effect.gen(function* () {
      const done: Array<(typeof KeepSessions.Type)["done"]> = []
      const { over, watch } = yield* watched({
        keep: (sessions) => {
          done.push(sessions.done)
          return done.length < 4
            ? Effect.fail(new PeerUnavailable({ peer: "guardian", reason: "away" }))
            : Effect.succeed([])
        }
      })
      yield* watch.endSession(another)
      yield* TestClock.adjust("10 seconds")
      expect(yield* over).toBeUndefined()
      expect(done.filter((names) => names.includes(another)).length).toBeGreaterThan(1)
      expect(done.at(-1)).toEqual([])
    })
  )

  it.scoped("asks the gatekeeper again when the policy has changed, once, and ends what it does not allow", () =>
    Effect.gen(function* () {
      let policy = "one"
      let allowed = true
      const questions: Array<string> = []
      const { over } = yield* watched({
        policy: () => policy,
        authorize: ({ action, resource }) =>
          Effect.suspend(() => {
            questions.push(`${action} ${resource}`)
            return allowed
              ? Effect.succeed({ ghostId: "Scout", groups: [], auditId: "1" })
              : new NotAuthorized({ code: "access_denied", reason: "no" })
          })
      })
      yield* TestClock.adjust("3 seconds")
      expect(questions).toEqual([])
      policy = "two"
      yield* TestClock.adjust("3 seconds")
      expect(questions).toEqual(["execute shells/l1/echo"])
      expect(yield* over).toBeUndefined()
      policy = "three"
      allowed = false
      yield* TestClock.adjust("1 second")
      expect(yield* over).toBe("access_withdrawn")
    })
  )
})
