import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { AuditEvent } from "../domain/AuditEvent.ts"
import * as AuditBuffer from "./AuditBuffer.ts"
import * as AuditEnd from "./AuditEnd.ts"
import type { AuditId } from "./AuditId.ts"
import type { AuditStatus } from "./AuditStatus.ts"
import type { AuditStore } from "./AuditStore.ts"
import * as Drain from "./Drain.ts"
import * as DrainProgress from "./DrainProgress.ts"
import * as Maintenance from "./Maintenance.ts"
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
  /** Told at the end when `count` events, taken and answered, are not in the database, or nobody could find out. */
  readonly onUnwritten?: (count: number) => Effect.Effect<void>
}

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

const tellStepBack = (millis: number) =>
  Effect.logWarning(
    `The clock went back by ${Duration.format(Duration.millis(Math.round(millis)))}: the events recorded since it had gone ahead carry ` +
      "wrong times, those from now on the clock's again. Check the machine's time service; said once."
  )

const make = Effect.fnUntraced(function* (options: AuditLogOptions) {
  const clock = yield* Effect.clock
  const buffer = yield* AuditBuffer.make({
    capacity: options.queueCapacity,
    batchSize: options.batchSize,
    linger: options.linger
  })
  const steppedBack = yield* Deferred.make<number>()
  const recorder = Recorder.make(buffer, clock, {
    onFull: options.onFull,
    onStepBack: (millis) => Deferred.unsafeDone(steppedBack, Effect.succeed(millis))
  })
  const progress = DrainProgress.make({ depth: buffer.depth, shed: () => recorder.counts().shed })
  const drain = yield* Drain.make(buffer, progress, { batchSize: options.batchSize })

  yield* Effect.forkScoped(Effect.flatMap(Deferred.await(steppedBack), tellStepBack))
  const maintenance = yield* Effect.forkScoped(yield* Maintenance.make(recorder.incarnation))
  const worker = yield* Effect.forkScoped(drain.run)
  const end = yield* AuditEnd.make({
    buffer,
    recorder,
    drain,
    progress,
    worker,
    maintenance,
    deadline: options.shutdownDeadline,
    onUnwritten: options.onUnwritten ?? (() => Effect.void)
  })
  // Added after the forks, so it runs before they are interrupted.
  yield* Effect.addFinalizer(() => end)

  const status = Effect.sync((): AuditStatus => {
    const { offered, refused, shed } = recorder.counts()
    const oldest = buffer.oldest()
    return {
      mode: "memory",
      source: recorder.incarnation.source,
      accepting: recorder.accepting(),
      depth: buffer.depth(),
      capacity: options.queueCapacity,
      aside: buffer.aside().reduce((sum, piece) => sum + piece.rows.length, 0),
      pendingSize: buffer.pendingSize(),
      oldestPendingMillis: oldest === undefined ? null : Math.max(0, clock.unsafeCurrentTimeMillis() - oldest),
      counters: {
        offered,
        committed: progress.committed(),
        deadLettered: progress.deadLettered(),
        refused,
        shed
      },
      drain: progress.state(),
      restarts: progress.restarts()
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
