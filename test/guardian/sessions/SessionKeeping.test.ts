import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { UnsecuredJWT } from "jose"
import { AuditLog } from "../../../src/audit/AuditLog.ts"
import { ClientSettings } from "../../../src/clients/ClientSettings.ts"
import { GatekeeperClient } from "../../../src/clients/GatekeeperClient.ts"
import { Stops } from "../../../src/clients/Stops.ts"
import type { Revocation } from "../../../src/domain/Stops.ts"
import { Certificates } from "../../../src/guardian/certificates/Certificates.ts"
import { GuardianAccess } from "../../../src/guardian/GuardianAccess.ts"
import { keepSessions } from "../../../src/guardian/sessions/SessionKeeping.ts"
import { type KeptSession, Sessions } from "../../../src/guardian/sessions/Sessions.ts"
import { Refusal } from "../../../src/platform/http/ErrorResponse.ts"
import { stopsOf } from "../../support/AccessControlFixture.ts"

const at = DateTime.unsafeMake(1_000)

const session = (agent: string, isOver = false): KeptSession => ({
  no: "1",
  sessionId: "nightly",
  agent,
  startedAt: at,
  lastSeenAt: at,
  endedAt: isOver ? at : null,
  endReason: isOver ? "completed" : null,
  outputFile: null,
  requestId: null,
  metadata: {},
  isCertified: true
})

const revocation = (more: Partial<Revocation>): Revocation => ({
  no: 1,
  id: "1",
  kind: "ghost",
  subject: "service:router",
  effect: "stop",
  at: 10_000,
  by: "admin",
  reason: null,
  ...more
})

/** A guardian that keeps these sessions, and what it asked and recorded. */
const guardian = (kept: ReadonlyArray<KeptSession>, revocations: Array<Revocation> = []) =>
  Effect.gen(function* () {
    let questions = 0
    const malformed: Array<string> = []
    const settings = Layer.provide(
      Layer.effect(ClientSettings, ClientSettings.config),
      Layer.setConfigProvider(ConfigProvider.fromMap(new Map([["JWT_CLOCK_TOLERANCE", "5s"]])))
    )
    const operations = yield* keepSessions(Duration.minutes(15)).pipe(
      Effect.provide([
        settings,
        Layer.mock(Sessions, { keep: () => Effect.succeed(kept), finish: () => Effect.succeed([]) }),
        Layer.mock(Certificates, {}),
        Layer.mock(AuditLog, {}),
        Layer.succeed(Stops, { ...stopsOf(), list: () => stopsOf(...revocations).list() }),
        Layer.mock(GatekeeperClient, {
          authorize: () =>
            Effect.sync(() => {
              questions += 1
              return { ghostId: "service:router", groups: [], auditId: "1" }
            })
        }),
        Layer.mock(GuardianAccess, {
          refuseMalformed: ({ event, resource }, { code, message }) =>
            Effect.suspend(() => {
              malformed.push(`${event} ${resource} ${code}`)
              return new Refusal({ code, message, auditId: "row" })
            })
        })
      ])
    )
    const token = new UnsecuredJWT({}).setSubject("service:router").setIssuedAt(12).setExpirationTime(900).encode()
    const ask = (body: unknown, lane: keyof typeof operations = "overHttp") =>
      operations[lane]({
        requestId: "r",
        authorization: `Bearer ${token}`,
        contentType: "application/json",
        body: Either.right(body)
      }).pipe(Effect.map(({ status, text }) => ({ status, body: JSON.parse(text) })))
    return { ask, malformed, questions: () => questions }
  })

const named = (agent: string) => ({ agent, session_id: "nightly" })

describe("the sessions of a process", () => {
  it.effect("are told apart by their agents", () =>
    Effect.gen(function* () {
      const { ask } = yield* guardian([session("Scout", true), session("Librarian")])
      const { body } = yield* ask({ alive: [named("Librarian"), named("Scout"), named("Stranger")] })
      expect(body.over).toMatchObject([
        { ...named("Scout"), code: "session_over" },
        { ...named("Stranger"), code: "session_not_found" }
      ])
    })
  )

  it.effect("end by a stop that names their agent, and another's go on", () =>
    Effect.gen(function* () {
      const stops = [revocation({ kind: "session", subject: "Scout/nightly" })]
      const { ask } = yield* guardian([session("Scout"), session("Librarian")], stops)
      const { body } = yield* ask({ alive: [named("Librarian"), named("Scout")] })
      expect(body.over).toMatchObject([{ ...named("Scout"), code: "session_over" }])
    })
  )

  it.effect("are kept by a token that is asked about once a minute, and again when a stop covers it", () =>
    Effect.gen(function* () {
      const stops: Array<Revocation> = []
      const { ask, questions } = yield* guardian([], stops)
      yield* ask({ alive: [] })
      yield* TestClock.adjust("20 seconds")
      yield* ask({ alive: [] })
      expect(questions()).toBe(1)
      // Its `iat` is 2 s after the stop: within the tolerance of the clocks.
      stops.push(revocation({}), revocation({ no: 2, id: "2", effect: "resume" }))
      yield* ask({ alive: [] })
      expect(questions()).toBe(2)
    })
  )

  it.effect.each([{}, { alive: "nightly" }, { alive: ["nightly"] }, { alive: [{ session_id: "nightly" }] }])(
    "are refused with a row where the request is malformed: %j",
    (given) =>
      Effect.gen(function* () {
        const { ask, malformed, questions } = yield* guardian([])
        expect(yield* ask(given)).toMatchObject({ status: 422, body: { error: { audit_id: "row" } } })
        expect(malformed).toEqual(["session.keep services/sessions invalid_request"])
        expect(questions()).toBe(0)
        expect((yield* ask(given, "inProcess")).status).toBe(422)
      })
  )
})
