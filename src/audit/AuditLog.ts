import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { AuditEvent } from "../domain/AuditEvent.ts"
import * as AuditBuffer from "./AuditBuffer.ts"
import type { AuditId } from "./AuditId.ts"
import type { AuditStatus } from "./AuditStatus.ts"
import { AuditStore } from "./AuditStore.ts"
import * as Drain from "./Drain.ts"
import * as Recorder from "./Recorder.ts"

/** The trail did not take the event: no decision may be answered, since it would be without a record. */
export class AuditUnavailable extends Schema.TaggedError<AuditUnavailable>()("AuditUnavailable", {
  reason: Schema.Literal("full", "closed"),
  /** Events that wait. */
  depth: Schema.Number
}) {
  override get message(): string {
    return this.reason === "full"
      ? `the audit buffer is full (${this.depth} events wait for the database). Check that PostgreSQL answers; ` +
          "AUDIT_QUEUE_CAPACITY sets the bound, AUDIT_ON_FULL=shed answers without a record instead"
      : "the audit trail is closed because the process is stopping. Ask another instance, or try again later"
  }
}

export interface AuditLogOptions {
  /** Events that may wait for the database. */
  readonly queueCapacity: number
  /** Rows in one transaction at most. */
  readonly batchSize: number
  /** How long a first event waits for company. */
  readonly linger: Duration.DurationInput
  readonly onFull: "refuse" | "shed"
  /** For the whole end: writing what is queued, giving up what cannot be written, signing off. */
  readonly shutdownDeadline: Duration.DurationInput
  /** Told at the end when `count` events, taken and answered, are not in the database. */
  readonly onUnwritten?: (count: number) => Effect.Effect<void>
}

/** Of the shutdown deadline. What is not written by then is given up, so that it can still be counted and told in time. */
const endShares = { flush: 0.7, giveUp: 0.1, signOff: 0.2 } as const

/** Records what was decided, without waiting for the database. */
export class AuditLog extends Context.Tag("audit/AuditLog")<
  AuditLog,
  {
    /**
     * Takes the event and answers at once with the id that its row will have. Any value in the event's fields is taken:
     * what does not fit is cut or cleaned, and named in the row's `marks`. With `AUDIT_ON_FULL=shed` a full buffer answers
     * with an id too, but its row will not exist; the status counts it.
     */
    readonly record: (event: AuditEvent) => Effect.Effect<AuditId, AuditUnavailable>
    /** Whether `record` would take an event now. */
    readonly accepting: Effect.Effect<boolean>
    readonly status: Effect.Effect<AuditStatus>
  }
>() {
  /**
   * The mode `memory`: events live in a bounded queue until their COMMIT. Its end closes the intake, drains what is queued
   * and signs off; services that record depend on this layer and so end before it.
   */
  static readonly layer = (options: AuditLogOptions): Layer.Layer<AuditLog, never, AuditStore> =>
    Layer.scoped(AuditLog, make(options))
}

const make = Effect.fnUntraced(function* (options: AuditLogOptions) {
  const store = yield* AuditStore
  const clock = yield* Effect.clock
  const buffer = yield* AuditBuffer.make({
    capacity: options.queueCapacity,
    batchSize: options.batchSize,
    linger: options.linger
  })
  const recorder = Recorder.make(buffer, clock, options.onFull)
  const drain = yield* Drain.make(buffer, recorder.incarnation)
  const worker = yield* Effect.forkScoped(drain.run)

  const share = (of: keyof typeof endShares) => Duration.times(options.shutdownDeadline, endShares[of])

  /** Added after the fork, so it runs before the worker is interrupted. */
  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      yield* buffer.close
      const flushed = yield* Fiber.await(worker).pipe(Effect.interruptible, Effect.timeoutOption(share("flush")))
      if (flushed._tag === "None") {
        yield* drain.giveUp
        yield* store.abandon
        yield* Fiber.await(worker).pipe(Effect.interruptible, Effect.timeoutOption(share("giveUp")))
      }
      const unwritten = buffer.depth()
      const { lastSeq, refused, shed } = recorder.counts()
      // Told before the sign-off: if that hangs, the count is known all the same.
      if (unwritten > 0) {
        yield* Effect.logError(
          `${unwritten} audit events were answered and are NOT in the database (source ${recorder.incarnation.source}, ` +
            `up to number ${lastSeq}): it did not take them before the shutdown deadline.`
        )
        yield* options.onUnwritten?.(unwritten) ?? Effect.void
      }
      yield* store.signOff(recorder.incarnation, { lastSeq, shed, refused, unwritten }).pipe(
        Effect.interruptible,
        Effect.timeoutFail({ duration: share("signOff"), onTimeout: () => ({ message: "no answer in time" }) }),
        Effect.catchAll((error) =>
          Effect.logWarning(`The audit trail could not be signed off: ${error.message}; its tail counts as unknown.`)
        )
      )
      yield* drain.progress.stopped
    })
  )

  const status = Effect.sync((): AuditStatus => {
    const { offered, refused, shed } = recorder.counts()
    const oldest = buffer.oldest()
    return {
      mode: "memory",
      source: recorder.incarnation.source,
      accepting: recorder.accepting(),
      depth: buffer.depth(),
      capacity: options.queueCapacity,
      pendingSize: buffer.pendingSize(),
      oldestPendingMillis: oldest === undefined ? null : Math.max(0, clock.unsafeCurrentTimeMillis() - oldest),
      counters: {
        offered,
        committed: drain.progress.committed(),
        deadLettered: drain.progress.deadLettered(),
        refused,
        shed
      },
      drain: drain.progress.state(),
      restarts: drain.progress.restarts()
    }
  })

  return {
    record: (event: AuditEvent) =>
      Effect.suspend(() => {
        const id = recorder.record(event)
        return typeof id === "string"
          ? Effect.succeed(id)
          : Effect.fail(new AuditUnavailable({ reason: id.refused, depth: buffer.depth() }))
      }),
    accepting: Effect.sync(recorder.accepting),
    status
  }
})
