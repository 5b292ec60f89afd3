import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { AuditLog } from "../../src/audit/AuditLog.ts"
import { AuditUnavailable } from "../../src/audit/AuditUnavailable.ts"
import type { AuditId } from "../../src/audit/encoding/AuditId.ts"
import { GatekeeperClient, NotAuthorized } from "../../src/clients/GatekeeperClient.ts"
import type { AuditEvent } from "../../src/domain/AuditEvent.ts"
import { GuardianAccess, type Recorded } from "../../src/guardian/GuardianAccess.ts"
import { DatabaseUnavailable } from "../../src/guardian/GuardianDatabase.ts"
import type { Failure, Question } from "../../src/platform/http/Audited.ts"

const question: Question = {
  request: HttpServerRequest.fromWeb(new Request("http://guardian/")),
  requestId: "r",
  authorization: undefined,
  event: "session.end",
  action: "execute",
  resource: "sessions/a/s",
  metadata: {}
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

describe("The guardian's access", () => {
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
