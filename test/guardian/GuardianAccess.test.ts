import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { AuditLog } from "../../src/audit/AuditLog.ts"
import { AuditUnavailable } from "../../src/audit/AuditUnavailable.ts"
import type { AuditId } from "../../src/audit/encoding/AuditId.ts"
import { GatekeeperClient, NotAuthorized } from "../../src/clients/GatekeeperClient.ts"
import type { AuditEvent } from "../../src/domain/AuditEvent.ts"
import { type Badge, Badges, badgeRoutes } from "../../src/guardian/badges/Badges.ts"
import { certificateRoutes } from "../../src/guardian/certificates/CertificateOperations.ts"
import { Certificates } from "../../src/guardian/certificates/Certificates.ts"
import { GuardianAccess, type Recorded } from "../../src/guardian/GuardianAccess.ts"
import { DatabaseUnavailable } from "../../src/guardian/GuardianDatabase.ts"
import { sessionRoutes } from "../../src/guardian/sessions/SessionOperations.ts"
import { Sessions } from "../../src/guardian/sessions/Sessions.ts"
import { Statistics } from "../../src/guardian/sessions/Statistics.ts"
import type { Failure, Question } from "../../src/platform/http/Audited.ts"
import { servingRoutes } from "../support/GatekeeperServing.ts"
import { request } from "../support/Gravitas.ts"

const question: Question = {
  requestId: "r",
  authorization: undefined,
  event: "session.end",
  action: "execute",
  resource: "sessions/a/s",
  facts: {}
}

/** A gatekeeper that allows everything. */
const allowing = Layer.succeed(GatekeeperClient, {
  authorize: () => Effect.succeed({ ghostId: "admin", groups: [], auditId: "1" })
})

const refusing = (code: NotAuthorized["code"]) =>
  Layer.succeed(GatekeeperClient, {
    authorize: () => Effect.fail(new NotAuthorized({ code, reason: "as told", auditId: "7" }))
  })

const trail = (record: (typeof AuditLog.Service)["record"]) =>
  Layer.succeed(AuditLog, {
    record,
    withdraw: () => Effect.void,
    accepting: Effect.succeed(true),
    status: Effect.dieMessage("not asked for")
  })

const recordingIn = (rows: Array<AuditEvent>) =>
  trail((event) =>
    Effect.as(
      Effect.sync(() => rows.push(event)),
      "1" as AuditId
    )
  )

const full = trail(() => Effect.fail(new AuditUnavailable({ reason: "full", detail: "as told" })))

const settled = (run: Effect.Effect<Recorded, Failure>) =>
  Effect.flatMap(GuardianAccess, (access) => Effect.flatMap(access.authorize(question), ({ settle }) => settle(run)))

const unrecorded = Layer.provide(GuardianAccess.layer, [allowing, full])

const badge: Badge = { ghostId: "g", badge: "b", grantedAt: DateTime.unsafeMake(1_760_000_000_000) }

/** The badges of one ghost in memory. */
const badgesWith = (initial: Badge | undefined) => {
  let held = initial
  const badges: typeof Badges.Service = {
    list: () => Effect.sync(() => (held === undefined ? [] : [held])),
    find: () => Effect.sync(() => held),
    grant: () =>
      Effect.sync(() => {
        const isNew = held === undefined
        held ??= badge
        return { badge: held, isNew }
      }),
    take: () =>
      Effect.sync(() => {
        const taken = held
        held = undefined
        return taken
      }),
    restore: (taken) =>
      Effect.sync(() => {
        held = taken
      })
  }
  return { badges, held: () => held }
}

const claims = { iss: "gravitas-guardian", sub: "a", jti: "certificate-1", iat: 1, exp: 2, version: 1 } as const

describe("An operation that the trail does not record", () => {
  it.scopedLive("is taken back: a badge that was taken is there again, and one that was granted is not", () =>
    Effect.gen(function* () {
      for (const [method, before] of [
        ["DELETE", badge],
        ["PUT", undefined]
      ] as const) {
        const { badges, held } = badgesWith(before)
        const url = yield* servingRoutes(badgeRoutes).pipe(
          Effect.provideService(Badges, badges),
          Effect.provide(unrecorded)
        )
        expect((yield* request(`${url}/badges/g/b`, { method })).status).toBe(503)
        expect([method, held()]).toEqual([method, before])
      }
    })
  )

  it.scopedLive(
    "is taken back: a certificate that was issued is revoked, and a session that was started is withdrawn",
    () =>
      Effect.gen(function* () {
        const undone: Array<string> = []
        const undo = (what: string) =>
          Effect.sync(() => {
            undone.push(what)
          })
        const certificates = Layer.mock(Certificates, {
          issue: () => Effect.succeed({ claims, keyId: "k", signature: "s" }),
          revoke: (id) => Effect.as(undo(id), undefined),
          inForce: () => Effect.succeed({ no: "1", claims, signature: "s", readMicros: 0n }),
          recent: () => Effect.succeed(undefined)
        })
        const sessions = Layer.mock(Sessions, {
          start: () => Effect.succeed(true),
          withdraw: ({ sessionId }) => undo(sessionId)
        })
        const url = yield* servingRoutes(Effect.zipRight(certificateRoutes, sessionRoutes(Duration.minutes(1)))).pipe(
          Effect.provide([certificates, sessions, Layer.mock(Statistics, {}), unrecorded])
        )
        expect((yield* request(`${url}/certificates`, { body: { agent: "a" } })).status).toBe(503)
        expect((yield* request(`${url}/session/start`, { body: { agent: "a", session_id: "s" } })).status).toBe(503)
        expect(undone).toEqual(["certificate-1", "s"])
      })
  )
})

describe("The guardian's access", () => {
  it.effect("takes back what was done for a reply that cannot be encoded", () =>
    Effect.gen(function* () {
      let undone = 0
      const undo = Effect.sync(() => {
        undone += 1
      })
      const { compensate } = yield* Effect.flatMap(GuardianAccess, (access) => access.authorize(question)).pipe(
        Effect.provide(unrecorded)
      )
      yield* compensate?.({ reason: "granted", compensate: undo }) ?? Effect.void
      expect(undone).toBe(1)
    })
  )

  it.effect("records a defect of an operation, and lets it go on", () =>
    Effect.gen(function* () {
      const rows: Array<AuditEvent> = []
      const exit = yield* Effect.exit(settled(Effect.dieMessage("a fault"))).pipe(
        Effect.provide(Layer.provide(GuardianAccess.layer, [allowing, recordingIn(rows)]))
      )
      expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
      expect(rows).toMatchObject([
        { action: "session.end", resource: "sessions/a/s", ghostId: "admin", result: "DENIED", requestId: "r" }
      ])
    })
  )

  it.effect("records an operation's failure, and names the row in the refusal", () =>
    Effect.gen(function* () {
      const rows: Array<AuditEvent> = []
      const away = new DatabaseUnavailable({ reason: "away" })
      const refusal = yield* Effect.flip(settled(Effect.fail(away))).pipe(
        Effect.provide(Layer.provide(GuardianAccess.layer, [allowing, recordingIn(rows)]))
      )
      expect(refusal).toMatchObject({ code: "database_unavailable", auditId: "1", message: away.message })
      expect(rows).toMatchObject([{ result: "DENIED", reason: away.message }])
    })
  )

  it.effect("tells a caller whom the gatekeeper does not know nothing about its malformed request", () =>
    Effect.gen(function* () {
      for (const [code, expected, recorded] of [
        ["unauthenticated", "unauthenticated", []],
        ["access_denied", "invalid_request", ["INVALID"]]
      ] as const) {
        const rows: Array<AuditEvent> = []
        const refusal = yield* Effect.flatMap(GuardianAccess, (access) =>
          Effect.flip(access.refuseMalformed(question, { code: "invalid_request", message: '"agent" is missing' }))
        ).pipe(Effect.provide(Layer.provide(GuardianAccess.layer, [refusing(code), recordingIn(rows)])))
        expect(refusal.code).toBe(expected)
        expect(rows.map(({ result }) => result)).toEqual(recorded)
      }
    })
  )

  it.effect("compensates for what the trail does not accept, and raises an alarm where a change stays in effect", () =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ message }) => {
          logged.push(String(message))
        })
      )
      const answered = (reply: Recorded) =>
        Effect.flip(settled(Effect.succeed(reply))).pipe(
          Effect.provide([Layer.provide(GuardianAccess.layer, [allowing, full]), logger])
        )
      let undone = 0
      const compensate = Effect.sync(() => {
        undone += 1
      })
      expect((yield* answered({ reason: "granted", compensate })).code).toBe("audit_unavailable")
      expect([undone, logged]).toEqual([1, []])
      yield* answered({ reason: "ended", compensate: "final" })
      expect(logged.join("\n")).toContain(
        "ALARM: session.end on sessions/a/s has no row in the trail and stays in effect"
      )
      yield* answered({ reason: "granted", compensate: Effect.fail(new DatabaseUnavailable({ reason: "away" })) })
      expect(logged.join("\n")).toContain("stays in effect: away")
      logged.length = 0
      yield* answered({ reason: "read" })
      expect(logged).toEqual([])
    })
  )
})
