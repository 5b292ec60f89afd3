import { expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/TestClock"
import { AuditLog } from "../../../src/audit/AuditLog.ts"
import type { AuditId } from "../../../src/audit/encoding/AuditId.ts"
import type { AuditEvent } from "../../../src/domain/AuditEvent.ts"
import { DatabaseUnavailable, GuardianDatabase } from "../../../src/guardian/GuardianDatabase.ts"
import { removalBatch, sessionRetention } from "../../../src/guardian/sessions/SessionRetention.ts"

it.effect(
  "sessions that ended long ago are removed batch by batch, with a row each, and none while the trail refuses",
  () =>
    Effect.gen(function* () {
      const rows: Array<AuditEvent> = []
      let asked = 0
      const batches: Array<number | "unavailable"> = [removalBatch, 7, "unavailable", 0, 3]
      let accepting = false
      const database = Layer.mock(GuardianDatabase, {
        transaction: <A>() =>
          Effect.suspend(() => {
            asked += 1
            const next = batches.shift() ?? 0
            return next === "unavailable"
              ? new DatabaseUnavailable({ reason: "as told" })
              : Effect.succeed({ rows: [{ count: next }] } as A)
          })
      })
      const trail = Layer.mock(AuditLog, {
        record: (event) =>
          Effect.sync(() => {
            rows.push(event)
            return "" as AuditId
          }),
        accepting: Effect.sync(() => accepting)
      })
      const retention = Duration.days(90)
      const layer = sessionRetention(retention).pipe(
        Layer.provide([database, trail]),
        Layer.provide(Logger.remove(Logger.defaultLogger))
      )
      yield* Effect.gen(function* () {
        yield* TestClock.adjust("2 hours")
        expect(asked).toBe(0)
        accepting = true
        yield* TestClock.adjust("1 hour")
        yield* TestClock.adjust("1 second")
        expect(asked).toBe(2)
        yield* TestClock.adjust("3 hours")
        yield* TestClock.adjust("1 hour")
        expect(rows.map(({ facts }) => facts?.count)).toEqual([removalBatch, 7, 3])
        expect(rows[0]).toMatchObject({
          action: "session.remove",
          resource: "sessions",
          ghostId: null,
          result: "ALLOWED",
          reason: "they ended more than 90d ago (GUARDIAN_SESSION_RETENTION)"
        })
      }).pipe(Effect.provide(layer))
    })
)
