import { expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { AuditLog } from "../../../src/audit/AuditLog.ts"
import * as DeferredAuditLog from "../../../src/audit/remote/DeferredAuditLog.ts"
import { AuditLedger } from "../../../src/audit/sources/AuditLedger.ts"
import { AuditStore } from "../../../src/audit/store/AuditStore.ts"
import * as PostgresAuditStore from "../../../src/audit/store/PostgresAuditStore.ts"
import { ShutdownReport } from "../../../src/platform/os/ShutdownReport.ts"
import { DatabaseError } from "../../../src/platform/postgres/DatabaseError.ts"
import { anEvent } from "../../support/AuditEvents.ts"
import { defaults, gatekeeperDatabase, ledgerOf, query, settled, withLogs } from "../../support/Trail.ts"

it.scopedLive("a trail that opens late is retried after every failure, also a defect, and each failure is logged", () =>
  withLogs((lines) =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const store = yield* PostgresAuditStore.make({ url })
      const between = [
        Effect.fail(new DatabaseError({ phase: "connect", reason: "the connection was refused" })),
        Effect.die(new Error("a defect on the way")),
        Effect.fail(new DatabaseError({ phase: "connect", reason: "not yet" }))
      ]
      const late = { ...store, trail: Effect.suspend(() => between.shift() ?? store.trail) }
      const log = yield* Layer.build(Layer.provide(DeferredAuditLog.layer(defaults), ShutdownReport.layer)).pipe(
        Effect.provideService(AuditStore, late),
        Effect.provideService(AuditLedger, ledgerOf(url)),
        Effect.map(Context.get(AuditLog))
      )
      expect(yield* log.accepting).toBe(false)
      expect(yield* Effect.flip(log.record(anEvent))).toMatchObject({ reason: "waiting", detail: expect.any(String) })
      yield* log.accepting.pipe(
        Effect.repeat({ until: (accepting) => accepting, schedule: Schedule.spaced("50 millis") }),
        Effect.timeout("20 seconds")
      )
      const id = yield* log.record(anEvent)
      yield* settled(log)
      expect(yield* query(url, "select id from gatekeeper.audit_log")).toEqual([{ id }])
      for (const said of ["the connection was refused", "a defect on the way", "not yet"]) {
        expect(lines.filter((line) => line.startsWith("WARN") && line.includes(said))).toHaveLength(1)
      }
    })
  )
)
