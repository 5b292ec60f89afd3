import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AuditEvent } from "../domain/AuditEvent.ts"
import type { Durability } from "../domain/Durability.ts"
import { currentIds, idsOf, type RequestSource, requestSource } from "../platform/http/RequestContext.ts"
import type { ShutdownReport } from "../platform/os/ShutdownReport.ts"
import type { DatabaseError } from "../platform/postgres/DatabaseError.ts"
import type { AuditLogOptions } from "./AuditSettings.ts"
import * as AuditShutdown from "./AuditShutdown.ts"
import { AuditUnavailable } from "./AuditUnavailable.ts"
import type { AuditId } from "./encoding/AuditId.ts"
import { withdrawal } from "./encoding/TrailEvents.ts"
import * as FailureLimit from "./failures/FailureLimit.ts"
import type { JournalInUse, JournalUnusable } from "./journal/Journal.ts"
import * as PipelineStatus from "./PipelineStatus.ts"
import * as DurabilityWaiter from "./queue/DurabilityWaiter.ts"
import * as Recorder from "./queue/Recorder.ts"
import * as WriteQueue from "./queue/WriteQueue.ts"
import { watchRefusals } from "./RefusalLog.ts"
import * as Recovery from "./recovery/Recovery.ts"
import type { AuditLedger } from "./sources/AuditLedger.ts"
import type { AuditStore } from "./store/AuditStore.ts"
import * as ProcessJournal from "./store/ProcessJournal.ts"
import * as BatchWriter from "./writer/BatchWriter.ts"

type LayerError = JournalUnusable | JournalInUse | DatabaseError
type LayerNeeds = AuditStore | AuditLedger | ShutdownReport

/** Records decisions. `record` waits as long as the event's durability asks; the settings choose it by the event's result. */
export class AuditLog extends Context.Tag("audit/AuditLog")<
  AuditLog,
  {
    /**
     * Records the event and returns the id of its row, once the event is as durable as its result asks. Accepts any value in
     * the event's fields: what does not fit is cut or cleaned, and named in the row's `marks`. Fails with `limited` where callers
     * without a valid identity send too many events; a summary counts these. With `AUDIT_ON_FULL=shed` a full
     * journal or queue still returns an id. No row is written; a later event in the trail reports it.
     */
    readonly record: (event: AuditEvent) => Effect.Effect<AuditId, AuditUnavailable>
    /**
     * Records the event of a request as `record` does, without a fiber. Returns undefined, and records nothing, where the event has to
     * go through `record`: its answer waits for a disk or the database, or it is a failure without an identity, which is limited.
     * Absent where the trail may not be open yet.
     */
    readonly recordAtOnce?: (event: AuditEvent, request: RequestSource) => AuditId | AuditUnavailable | undefined
    /** Records that the answer to a recorded event was not given after all, and why. */
    readonly withdraw: (event: AuditEvent, id: AuditId, why: string) => Effect.Effect<void>
    /** Whether `record` accepts an event of the default durability now. */
    readonly accepting: Effect.Effect<boolean>
    readonly status: Effect.Effect<PipelineStatus.PipelineStatus>
  }
>() {
  /**
   * The audit pipeline, in the order in which an event travels. When it closes, it closes the intake, writes what is queued
   * and signs off. Services that record depend on this layer, so they end before it.
   */
  static readonly layer = (options: AuditLogOptions): Layer.Layer<AuditLog, LayerError, LayerNeeds> => {
    const journal = ProcessJournal.layer(options)
    const waiter = Layer.provideMerge(DurabilityWaiter.layer(options), journal)
    const queue = Layer.provideMerge(WriteQueue.layer(options), waiter)
    const recorder = Layer.provideMerge(Recorder.layer(options), queue)
    const failures = Layer.provideMerge(FailureLimit.layer(options), recorder)
    const writer = Layer.provideMerge(BatchWriter.layer(options), failures)
    const recovery = Layer.provideMerge(Recovery.layer(options), writer)
    return Layer.provide(Layer.scoped(AuditLog, make(options)), recovery)
  }
}

const unavailable = (refusal: Recorder.RecordRefusal) => Effect.fail(new AuditUnavailable(refusal))

const databaseBehind: Recorder.RecordRefusal = {
  reason: "behind",
  detail: "PostgreSQL has not accepted rows that are older than an answer may wait. Check that it answers and keeps up"
}

const diskBehind = (detail: string): Recorder.RecordRefusal => ({
  reason: "behind",
  detail: `${detail}. Fix the disk of GRAVITAS_HOME; the process recovers by itself`
})

/** Makes the check before `record`: it refuses an answer that would wait in vain for what its durability promises. */
const makeRefusalIfBehind = Effect.fnUntraced(function* (options: AuditLogOptions) {
  const { eventJournal } = yield* ProcessJournal.ProcessJournal
  const queue = yield* WriteQueue.WriteQueue
  const clock = yield* Effect.clock
  return (durability: Durability): Recorder.RecordRefusal | undefined => {
    if (durability === "commit") {
      const isBehind = DurabilityWaiter.isBehind(
        queue.oldestInLine(),
        clock.unsafeCurrentTimeMillis(),
        options.commitDeadline
      )
      return isBehind ? databaseBehind : undefined
    }
    const problem = durability === "fsync" ? (eventJournal?.hanging() ?? null) : null
    return problem === null ? undefined : diskBehind(problem.detail)
  }
})

/** Makes what the log of refusals watches: whether the trail accepts events, how many it did not, and why; undefined once it closes. */
const makeAcceptance = Effect.fnUntraced(function* (
  accepting: () => boolean,
  behind: () => Recorder.RecordRefusal | undefined
) {
  const queue = yield* WriteQueue.WriteQueue
  const recorder = yield* Recorder.Recorder
  const { eventJournal } = yield* ProcessJournal.ProcessJournal
  const reason = () =>
    behind()?.detail ??
    eventJournal?.status().problem?.detail ??
    recorder.lastRefusal()?.detail ??
    `${queue.depth()} events wait for the database`
  return () => {
    if (queue.isClosed()) return undefined
    const { refused, shed } = recorder.counts()
    return { accepting: accepting(), missed: refused + shed, reason: reason() }
  }
})

/** The durability of an event by its result, and whether the answer to such an event waits. */
const durabilities = ({ durability: { byResult, default: otherwise } }: AuditLogOptions) => {
  const durabilityByResult = new Map<string, Durability>(Object.entries(byResult))
  return {
    durabilityOf: ({ result }: AuditEvent): Durability => durabilityByResult.get(result) ?? otherwise,
    waits: (durability: Durability): boolean => durability === "fsync" || durability === "commit"
  }
}

const make = Effect.fnUntraced(function* (options: AuditLogOptions) {
  const queue = yield* WriteQueue.WriteQueue
  const waiter = yield* DurabilityWaiter.DurabilityWaiter
  const recorder = yield* Recorder.Recorder
  const failures = yield* FailureLimit.FailureLimit
  const refusalIfBehind = yield* makeRefusalIfBehind(options)
  let notWithdrawn = 0
  const accepting = () => recorder.accepting() && refusalIfBehind(options.durability.default) === undefined
  const status = yield* PipelineStatus.make(options, { accepting, notWithdrawn: () => notWithdrawn })
  yield* Effect.forkScoped(PipelineStatus.publishMetrics(status))
  const acceptance = yield* makeAcceptance(accepting, () => refusalIfBehind(options.durability.default))
  yield* Effect.forkScoped(watchRefusals(options.onFull, acceptance))
  // This finalizer runs first. Then the layers below stop the writer and close the journal.
  const shutdown = yield* AuditShutdown.make(options.shutdownDeadline)
  yield* Effect.addFinalizer(() => shutdown)

  const withdraw = (event: AuditEvent, id: AuditId, why: string) =>
    Effect.withFiberRuntime<void>((fiber) => {
      if (recorder.recordOwn(withdrawal(event, id, why), currentIds(fiber)) !== undefined) return Effect.void
      notWithdrawn += 1
      return Effect.logError(
        `ALARM: the audit event ${id} was recorded, its answer was not given (${why}), and the trail accepts no event that says so.`
      )
    })

  const { durabilityOf, waits } = durabilities(options)

  const confirmed = (event: AuditEvent, id: AuditId, wait: Effect.Effect<void, { readonly reason: string }>) =>
    wait.pipe(
      Effect.as(id),
      Effect.onInterrupt(() => withdraw(event, id, "the caller left before the answer")),
      Effect.catchAll(({ reason }) =>
        Effect.zipRight(
          withdraw(event, id, reason),
          Effect.fail(new AuditUnavailable({ reason: "unconfirmed", detail: reason }))
        )
      )
    )

  /** An event of a request without a ghost is a failure of a caller without a valid identity. Events without a request have none either. */
  const admit = (event: AuditEvent, context: Context.Context<never>): AuditEvent | Recorder.RecordRefusal => {
    const source = event.ghostId === null && event.isAuthenticated !== true ? requestSource(context) : undefined
    return source === undefined ? event : failures.admit(event, source)
  }

  return AuditLog.of({
    recordAtOnce: (event, { headers }) => {
      if (event.ghostId === null || waits(durabilityOf(event))) return undefined
      const id = recorder.record(event, false, idsOf(headers))
      return typeof id === "string" ? id : new AuditUnavailable(id)
    },
    record: (given: AuditEvent) =>
      Effect.withFiberRuntime((fiber) => {
        const event = admit(given, fiber.currentContext)
        if ("detail" in event) return unavailable(event)
        const durability = durabilityOf(event)
        const behind = refusalIfBehind(durability)
        if (behind !== undefined) return unavailable(recorder.refuse(behind))
        const id = recorder.record(event, durability === "commit", currentIds(fiber))
        if (typeof id !== "string") return unavailable(id)
        if (!waits(durability)) return Effect.succeed(id)
        // The recorder has not run since `record`, so its last number is this event's.
        const seq = recorder.lastSeq()
        // A shed event is never written, so there is nothing to wait for.
        if (recorder.lastShed() === seq) return Effect.succeed(id)
        if (durability === "fsync") return confirmed(event, id, waiter.synced)
        // The wait begins later, and the row may be settled by then.
        return confirmed(
          event,
          id,
          waiter.committed(seq, () => queue.settledUpTo() >= seq)
        )
      }),
    withdraw,
    accepting: Effect.sync(accepting),
    status
  })
})
