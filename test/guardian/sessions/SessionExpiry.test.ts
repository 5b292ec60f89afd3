import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/TestClock"
import { AuditLog } from "../../../src/audit/AuditLog.ts"
import { AuditUnavailable } from "../../../src/audit/AuditUnavailable.ts"
import type { AuditId } from "../../../src/audit/encoding/AuditId.ts"
import { sessionExpiry } from "../../../src/guardian/sessions/SessionExpiry.ts"
import { expiryBatch, type SessionRow, Sessions } from "../../../src/guardian/sessions/Sessions.ts"

const at = DateTime.unsafeMake(1_760_000_000_000)

const session = (no: number): SessionRow => ({
  no: String(no),
  sessionId: `s${no}`,
  agent: "a",
  startedAt: at,
  lastSeenAt: at,
  endedAt: at,
  endReason: "expired",
  outputFile: null,
  requestId: null,
  metadata: {}
})

/** One batch of stale sessions, and a trail that takes events while `takes` says so. */
const room = (takes: { accepting: boolean; recording: boolean }) => {
  const told: Array<string | null> = []
  let swept = 0
  const unused = Effect.dieMessage("the expiry does not ask for it")
  const sessions = Layer.succeed(Sessions, {
    start: () => unused,
    withdraw: () => unused,
    find: () => unused,
    named: () => unused,
    beat: () => unused,
    end: () => unused,
    list: () => unused,
    keep: () => unused,
    finish: () => unused,
    expire: () =>
      Effect.sync(() => {
        swept += 1
        return swept === 1 ? Array.from({ length: expiryBatch }, (_, no) => session(no)) : []
      })
  })
  const trail = Layer.succeed(AuditLog, {
    record: ({ resource }) =>
      Effect.suspend(() => {
        if (!takes.recording) return Effect.fail(new AuditUnavailable({ reason: "full", detail: "as told" }))
        told.push(resource)
        return Effect.succeed("" as AuditId)
      }),
    withdraw: () => unused,
    accepting: Effect.sync(() => takes.accepting),
    status: unused
  })
  const layer = sessionExpiry(Duration.seconds(2)).pipe(
    Layer.provide([sessions, trail]),
    Layer.provide(Logger.remove(Logger.defaultLogger))
  )
  return { layer, told, swept: () => swept }
}

describe("The expiry of sessions", () => {
  it.effect("ends no session while the trail cannot record it, and all once it can", () =>
    Effect.gen(function* () {
      const takes = { accepting: false, recording: true }
      const { layer, swept, told } = room(takes)
      yield* Effect.gen(function* () {
        yield* TestClock.adjust("2 seconds")
        expect(swept()).toBe(0)
        takes.accepting = true
        yield* TestClock.adjust("2 seconds")
        expect(swept()).toBeGreaterThan(0)
        expect(told).toHaveLength(expiryBatch)
      }).pipe(Effect.provide(layer))
    })
  )

  it.live("does not delay the end of the process where the trail refuses events meanwhile", () =>
    Effect.gen(function* () {
      const { layer, swept } = room({ accepting: true, recording: false })
      const from = yield* Clock.currentTimeMillis
      yield* Effect.sleep("500 millis").pipe(Effect.provide(layer))
      expect(swept()).toBeGreaterThan(0)
      expect((yield* Clock.currentTimeMillis) - from).toBeLessThan(4_000)
    }).pipe(Effect.timeout("20 seconds"), Effect.disconnect)
  )
})
