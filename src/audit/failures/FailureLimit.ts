import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import type { AuditEvent } from "../../domain/AuditEvent.ts"
import { clientAddress, networkOf, proxyList } from "../../platform/http/ClientAddress.ts"
import type { RequestSource } from "../../platform/http/RequestContext.ts"
import type { AuditLogOptions } from "../AuditSettings.ts"
import { Recorder, type RecordRefusal } from "../queue/Recorder.ts"
import { WriteQueue } from "../queue/WriteQueue.ts"
import { ProcessJournal } from "../store/ProcessJournal.ts"
import { makeFailureBuckets } from "./FailureBuckets.ts"
import { type LimitReason, makeLimitedFailures } from "./LimitedFailures.ts"

const limited = Metric.counter("audit_failures_limited", {
  description: "Failures without a valid identity that are counted and have no row of their own, by reason",
  incremental: true
})

const refusals: Readonly<Record<LimitReason, RecordRefusal>> = {
  address: {
    reason: "limited",
    detail: "more requests without a valid identity came from this address than get a row each"
  },
  total: { reason: "limited", detail: "more requests without a valid identity came than get a row each" },
  share: { reason: "limited", detail: "the audit trail keeps its free room for callers with a valid identity" }
}

/** How many seconds of its rate a bucket holds. */
const burstSeconds = 5

const rateOf = (perSecond: number) => ({ perSecond, burst: perSecond * burstSeconds })

/** Bounds what callers without a valid identity can make the trail record. */
export interface FailureLimit {
  /** Returns the event with the address of its client; or, where it exceeds a limit, counts it and returns why. */
  readonly admit: (event: AuditEvent, source: RequestSource) => AuditEvent | RecordRefusal
  /** Records how many failures were limited since the last summary. Keeps the counts where the trail cannot accept it now. */
  readonly summarise: Effect.Effect<void>
}

export const FailureLimit = Context.GenericTag<FailureLimit>("audit/failures/FailureLimit")

const make = Effect.fnUntraced(function* ({ failures }: AuditLogOptions) {
  const { eventJournal, incarnation, quota } = yield* ProcessJournal
  const queue = yield* WriteQueue
  const recorder = yield* Recorder
  const clock = yield* Effect.clock
  const trusted = proxyList(failures.trustedProxies)
  const buckets = makeFailureBuckets({ perAddress: rateOf(failures.perAddress), inAll: rateOf(failures.inAll) })
  const counts = makeLimitedFailures()
  const hasShare = () => queue.isHalfEmpty() && (eventJournal === undefined || quota.used() * 2 < quota.maxBytes)

  const summarise = Effect.suspend(() => {
    if (counts.count() === 0) return Effect.void
    const recorded = recorder.recordOwn(counts.summary(incarnation.source, clock.unsafeCurrentTimeMillis()))
    if (recorded === undefined) return Effect.void
    const byReason = Object.entries(counts.byReason())
    counts.clear()
    recorder.noteLimiting(false)
    return Effect.forEach(
      byReason,
      ([reason, count]) => Metric.incrementBy(Metric.tagged(limited, "reason", reason), count),
      { discard: true }
    )
  })

  yield* Effect.forkScoped(Effect.repeat(summarise, Schedule.spaced("1 second")))
  return FailureLimit.of({
    admit: (event, source) => {
      const address = clientAddress(source, trusted)
      const network = networkOf(address)
      const now = clock.unsafeCurrentTimeMillis()
      // A clock that is set back must not leave a bucket empty until it has caught up.
      const monotonic = Number(clock.unsafeCurrentTimeNanos() / 1_000_000n)
      const reason = hasShare() ? buckets.exceeded(network, monotonic) : "share"
      if (reason === undefined) return { ...event, facts: { ...event.facts, client_address: address } }
      counts.add(reason, network, now)
      recorder.noteLimiting(true)
      return refusals[reason]
    },
    summarise
  })
})

export const layer = (
  options: AuditLogOptions
): Layer.Layer<FailureLimit, never, ProcessJournal | Recorder | WriteQueue> => Layer.scoped(FailureLimit, make(options))
