import * as Crypto from "node:crypto"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AuditEvent } from "../../domain/AuditEvent.ts"
import type { AuditLogOptions } from "../AuditSettings.ts"
import { type AuditId, makeUuidV7 } from "../encoding/AuditId.ts"
import { canonicalJson, draftRow, sealRow } from "../encoding/AuditRow.ts"
import { type EncodingOptions, encodeEvent } from "../encoding/EventEncoding.ts"
import type { Counts } from "../journal/CheckpointFile.ts"
import type { Journal } from "../journal/Journal.ts"
import type { Incarnation } from "../store/AuditStore.ts"
import { ProcessJournal } from "../store/ProcessJournal.ts"
import { WriteQueue } from "./WriteQueue.ts"

/** Why an event was refused. */
export interface RecordRefusal {
  readonly reason: "full" | "failing" | "behind" | "closed" | "limited"
  readonly detail: string
}

/** Numbers of events that were shed: answered without a record. */
export interface ShedRange {
  readonly from: number
  readonly to: number
  readonly count: number
}

export interface RecorderOptions {
  readonly onFull: "refuse" | "shed"
  /** Holds each event before its answer; without it only the queue does. */
  readonly eventJournal: Journal | undefined
  /** Keeps the counts of refused and shed events at once, so that they survive the process. */
  readonly countJournal: Journal | undefined
  /** Called when the clock went back by so many milliseconds, more than ids can bridge. */
  readonly onStepBack: (millis: number) => void
}

const closed: RecordRefusal = { reason: "closed", detail: "the process is stopping" }

/** Whether the journal accepts events. With a hanging disk it does: only answers that wait for the disk are refused. */
const accepts = (journal: Journal | undefined): boolean => {
  const problem = journal?.status().problem ?? null
  return problem === null || problem.reason === "hanging"
}

/** Gives events their identity, time and number, appends them to the journal and offers them to the queue. */
// long: its numbers and counts change in step, and are reachable only here.
export const make = (incarnation: Incarnation, queue: WriteQueue, clock: Clock.Clock, options: RecorderOptions) => {
  const { countJournal, eventJournal } = options
  const { source } = incarnation
  const nextId = makeUuidV7((bytes) => Crypto.randomFillSync(bytes), options.onStepBack)
  let refused = 0
  let shed = 0
  let lastSeq = 0
  let lastShed = 0
  let shedRange: ShedRange | undefined
  let lastRefusal: RecordRefusal | undefined
  let limiting = false

  const counts = (): Counts & { readonly offered: number } => ({
    lastSeq,
    refused,
    shed,
    limiting,
    offered: lastSeq + refused
  })

  const take = (event: AuditEvent, urgent: boolean, ids: EncodingOptions | undefined): AuditId | RecordRefusal => {
    if (queue.isClosed()) return closed
    if (!queue.hasRoom()) return { reason: "full", detail: `${queue.depth()} events wait for the database` }
    // Reads the clock directly: an effect for each event would cost more than the rest of its identity.
    const timestamp = clock.unsafeCurrentTimeMillis()
    const id = nextId(timestamp)
    const seq = lastSeq + 1
    const draft = draftRow(encodeEvent(event, ids), { id, timestamp, source, seq })
    const json = canonicalJson(draft)
    const problem = eventJournal?.append(seq, json)
    if (problem !== undefined) return problem
    lastSeq = seq
    queue.offer(sealRow(draft, json), urgent)
    return id
  }

  /** Counts an event that is refused before `record`. */
  const refuse = (refusal: RecordRefusal): RecordRefusal => {
    refused += 1
    lastRefusal = refusal
    countJournal?.note(counts())
    return refusal
  }

  const shedOne = (): AuditId => {
    shed += 1
    lastSeq += 1
    lastShed = lastSeq
    shedRange = { from: shedRange?.from ?? lastSeq, to: lastSeq, count: (shedRange?.count ?? 0) + 1 }
    countJournal?.note(counts())
    return nextId(clock.unsafeCurrentTimeMillis())
  }

  return {
    incarnation,
    accepting: () => !queue.isClosed() && (options.onFull === "shed" || (queue.hasRoom() && accepts(eventJournal))),
    /** Why the last event was refused or shed. */
    lastRefusal: () => lastRefusal,
    /** The last number given; 0 before the first. */
    lastSeq: () => lastSeq,
    /** The last number given to an event that was shed; 0 before the first. */
    lastShed: () => lastShed,
    counts,
    /**
     * Records an event synchronously, so that numbers and rows have one order and the bounds are exact. Never throws. An
     * `urgent` row does not wait for more rows on its way to the database. `ids` are those of its request.
     */
    record: (event: AuditEvent, urgent = false, ids?: EncodingOptions) => {
      const taken = take(event, urgent, ids)
      if (typeof taken === "string") return taken
      lastRefusal = taken
      if (options.onFull === "shed" && taken.reason !== "closed") return shedOne()
      return refuse(taken)
    },
    refuse,
    /** Records an event of the trail itself; undefined, and not counted, when the trail cannot accept it now. */
    recordOwn: (event: AuditEvent, ids?: EncodingOptions) => {
      const taken = take(event, false, ids)
      return typeof taken === "string" ? taken : undefined
    },
    /** Notes that failures are limited and wait for their summary, or that they do not any more. */
    noteLimiting: (now: boolean) => {
      if (now === limiting) return
      limiting = now
      countJournal?.note(counts())
    },
    isLimiting: () => limiting,
    /** What was shed since the last call of `receipted`. */
    shedRange: () => shedRange,
    receipted: () => {
      shedRange = undefined
    }
  }
}

export type Recorder = ReturnType<typeof make>

export const Recorder = Context.GenericTag<Recorder>("audit/queue/Recorder")

const logStepBack = (millis: number) =>
  Effect.logWarning(
    `The clock went back by ${Duration.format(Duration.millis(Math.round(millis)))}: events recorded while it was ahead carry ` +
      "wrong times; later events carry the clock's time again. Check the machine's time service. This is logged once."
  )

export const layer = (options: AuditLogOptions): Layer.Layer<Recorder, never, ProcessJournal | WriteQueue> =>
  Layer.scoped(
    Recorder,
    Effect.gen(function* () {
      const { eventJournal, incarnation, journal } = yield* ProcessJournal
      const steppedBack = yield* Deferred.make<number>()
      yield* Effect.forkScoped(Effect.flatMap(Deferred.await(steppedBack), logStepBack))
      return make(incarnation, yield* WriteQueue, yield* Effect.clock, {
        onFull: options.onFull,
        eventJournal,
        countJournal: journal,
        onStepBack: (millis) => Deferred.unsafeDone(steppedBack, Effect.succeed(millis))
      })
    })
  )
