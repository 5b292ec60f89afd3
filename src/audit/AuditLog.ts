import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { AuditEvent } from "../domain/AuditEvent.ts"
import { type Durability, isJournaled } from "../domain/Durability.ts"
import { currentTraceId } from "../platform/http/TraceContext.ts"
import type { DatabaseError } from "../platform/postgres/DatabaseError.ts"
import type { AuditLogOptions } from "./AuditLogOptions.ts"
import * as AuditMetrics from "./AuditMetrics.ts"
import * as AuditShutdown from "./AuditShutdown.ts"
import type { AuditStatus } from "./AuditStatus.ts"
import { AuditUnavailable } from "./AuditUnavailable.ts"
import type { AuditId } from "./encoding/AuditId.ts"
import { withdrawal } from "./encoding/TrailEvents.ts"
import type { JournalInUse, JournalUnusable } from "./journal/Journal.ts"
import * as Pipeline from "./Pipeline.ts"
import type { Refusal } from "./queue/Recorder.ts"
import type { AuditLedger } from "./sources/AuditLedger.ts"
import type { AuditStore } from "./store/AuditStore.ts"

/** Records what was decided, without waiting for the database unless it is told to. */
export class AuditLog extends Context.Tag("audit/AuditLog")<
  AuditLog,
  {
    /**
     * Takes the event and answers, once it is as durable as its result asks, with the id that its row will have. Any value in
     * the event's fields is taken: what does not fit is cut or cleaned, and named in the row's `marks`. With
     * `AUDIT_ON_FULL=shed` a full trail answers with an id too, but its row will not exist; a receipt in the trail says so.
     */
    readonly record: (event: AuditEvent) => Effect.Effect<AuditId, AuditUnavailable>
    /** Says in the trail that the answer to a recorded event was not given after all, and why. */
    readonly withdraw: (event: AuditEvent, id: AuditId, why: string) => Effect.Effect<void>
    /** Whether `record` would take an event now. */
    readonly accepting: Effect.Effect<boolean>
    readonly status: Effect.Effect<AuditStatus>
  }
>() {
  /** Its end closes the intake, drains what is queued and signs off; services that record depend on this layer and so end before it. */
  static readonly layer = (
    options: AuditLogOptions
  ): Layer.Layer<AuditLog, JournalUnusable | JournalInUse | DatabaseError, AuditStore | AuditLedger> =>
    Layer.scoped(AuditLog, make(options))
}

const tellStepBack = (millis: number) =>
  Effect.logWarning(
    `The clock went back by ${Duration.format(Duration.millis(Math.round(millis)))}: the events recorded since it had gone ahead carry ` +
      "wrong times, those from now on the clock's again. Check the machine's time service; said once."
  )

const unavailable = (refusal: Refusal) => Effect.fail(new AuditUnavailable(refusal))

const make = (
  options: AuditLogOptions
): Effect.Effect<
  typeof AuditLog.Service,
  JournalUnusable | JournalInUse | DatabaseError,
  AuditStore | AuditLedger | Scope.Scope
> =>
  Effect.gen(function* () {
    const steppedBack = yield* Deferred.make<number>()
    const pipeline = yield* Pipeline.make(options, (millis) => Deferred.unsafeDone(steppedBack, Effect.succeed(millis)))
    const { buffer, confirmation, recorder, status } = pipeline
    yield* Effect.forkScoped(Effect.flatMap(Deferred.await(steppedBack), tellStepBack))
    yield* Effect.forkScoped(AuditMetrics.publish(status))
    const worker = yield* Effect.forkScoped(
      Effect.zipRight(Effect.logInfo("Audit background worker started."), pipeline.drain.run)
    )
    const upkeep = yield* Effect.forkScoped(pipeline.upkeep)
    const end = yield* AuditShutdown.make({
      ...pipeline,
      worker,
      upkeep,
      deadline: options.shutdownDeadline,
      onUnwritten: options.onUnwritten ?? (() => Effect.void)
    })
    // Added after the forks, so it runs before they are interrupted.
    yield* Effect.addFinalizer(() => end)

    const withdraw = (event: AuditEvent, id: AuditId, why: string) =>
      Effect.withFiberRuntime<void>((fiber) => {
        if (recorder.recordOwn(withdrawal(event, id, why), currentTraceId(fiber)) !== undefined) return Effect.void
        pipeline.notWithdrawn()
        return Effect.logError(
          `ALARM: the audit event ${id} was recorded, its answer was not given (${why}), and the trail takes no event that says so.`
        )
      })

    const exceptions = new Map<string, Durability>(Object.entries(options.durability.byResult))
    const common = options.durability.default
    const journaled = isJournaled(options.durability)

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

    return {
      record: (event: AuditEvent) =>
        Effect.withFiberRuntime((fiber) => {
          const durability = exceptions.get(event.result) ?? common
          const behind = pipeline.isBehind(durability)
          if (behind !== undefined) return unavailable(recorder.refuse(behind))
          const id = recorder.record(event, durability === "commit", currentTraceId(fiber))
          if (typeof id !== "string") return unavailable(id)
          if (!journaled || durability === "journal" || durability === "memory") return Effect.succeed(id)
          const seq = recorder.lastSeq()
          // Nobody will ever write it: there is nothing to wait for.
          if (recorder.lastShed() === seq) return Effect.succeed(id)
          if (durability === "fsync") return confirmed(event, id, confirmation.synced)
          return confirmed(
            event,
            id,
            confirmation.committed(seq, () => buffer.settledUpTo() >= seq)
          )
        }),
      withdraw,
      accepting: Effect.sync(pipeline.accepting),
      status
    }
  })
