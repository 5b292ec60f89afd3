import { expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as FailureLimit from "../../../src/audit/failures/FailureLimit.ts"
import { Recorder } from "../../../src/audit/queue/Recorder.ts"
import { WriteQueue } from "../../../src/audit/queue/WriteQueue.ts"
import { ProcessJournal } from "../../../src/audit/store/ProcessJournal.ts"
import type { AuditEvent } from "../../../src/domain/AuditEvent.ts"
import { defaults } from "../../support/Trail.ts"

const failure: AuditEvent = {
  action: "read",
  resource: "vaults/public",
  ghostId: null,
  shellId: null,
  result: "UNAUTHENTICATED",
  reason: null,
  requestId: "r"
}

/** The members that the limit uses. */
const partly = <A>(some: Partial<A>): A => some as A

it.scoped(
  "the limit of failures goes by a clock that only moves forward: setting the machine's clock changes nothing",
  () =>
    Effect.gen(function* () {
      const time = { millis: 1_760_000_000_000, nanos: 0n }
      const clock: Clock.Clock = {
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        unsafeCurrentTimeMillis: () => time.millis,
        currentTimeMillis: Effect.sync(() => time.millis),
        unsafeCurrentTimeNanos: () => time.nanos,
        currentTimeNanos: Effect.sync(() => time.nanos),
        sleep: () => Effect.never
      }
      const options = { ...defaults, failures: { perAddress: 1, inAll: 100, trustedProxies: [] } }
      const limit = yield* FailureLimit.FailureLimit.pipe(
        Effect.provide(FailureLimit.layer(options)),
        Effect.provide([
          Layer.succeed(ProcessJournal, partly<ProcessJournal>({ eventJournal: undefined })),
          Layer.succeed(Recorder, partly<Recorder>({ noteLimiting: () => undefined })),
          Layer.succeed(WriteQueue, partly<WriteQueue>({ isHalfEmpty: () => true }))
        ]),
        Effect.withClock(clock)
      )
      const source = { headers: {}, socket: { remoteAddress: "192.0.2.1" } }
      const admitted = () => "action" in limit.admit(failure, source)
      const burst = Array.from({ length: 6 }, admitted)
      expect(burst).toEqual([true, true, true, true, true, false])
      // An hour back, and an hour forward: neither fills the bucket nor keeps it empty.
      time.millis -= 3_600_000
      time.nanos += 1_000_000_000n
      expect([admitted(), admitted()]).toEqual([true, false])
      time.millis += 7_200_000
      expect(admitted()).toBe(false)
    })
)
