import * as Crypto from "node:crypto"
import type * as Clock from "effect/Clock"
import type { AuditEvent } from "../../domain/AuditEvent.ts"
import type { AuditId } from "../encoding/AuditId.ts"
import { canonicalJson, draftRow, sealRow } from "../encoding/AuditRow.ts"
import { encodeEvent } from "../encoding/EventEncoding.ts"
import { makeUuidV7 } from "../encoding/UuidV7.ts"
import type { Counts, Journal } from "../journal/Journal.ts"
import type { Incarnation } from "../store/AuditStore.ts"
import type { WriteQueue } from "./WriteQueue.ts"

/** Why an event was not taken. */
export interface Refusal {
  readonly reason: "full" | "failing" | "behind" | "closed"
  readonly detail: string
}

/** Numbers that were given to events which nobody kept. */
export interface ShedRange {
  readonly from: number
  readonly to: number
  readonly count: number
}

export interface Recorder {
  readonly incarnation: Incarnation
  /**
   * Synchronous from end to end, so numbers and rows are in one order and the bounds are exact. Never throws. An `urgent` row
   * waits for no company on its way to the database. `traceId` is that of the request it belongs to.
   */
  readonly record: (event: AuditEvent, urgent?: boolean, traceId?: string) => AuditId | Refusal
  /** An event of the trail's own; undefined when it cannot be taken now, which counts as nothing. */
  readonly recordOwn: (event: AuditEvent, traceId?: string) => AuditId | undefined
  /** Counts an event that is not even tried. */
  readonly refuse: (refusal: Refusal) => Refusal
  readonly accepting: () => boolean
  /** The last number given; 0 before the first. */
  readonly lastSeq: () => number
  /** The last number given to an event that was shed; 0 before the first. */
  readonly lastShed: () => number
  readonly counts: () => Counts & { readonly offered: number }
  /** What was shed since the last call of `receipted`. */
  readonly shedRange: () => ShedRange | undefined
  readonly receipted: () => void
}

export interface RecorderOptions {
  readonly onFull: "refuse" | "shed"
  /** Holds each event before its answer; without it the buffer alone does. */
  readonly journal: Journal | undefined
  /** Told of each refused and each shed event, at once: whoever counts them must know though the process ends. */
  readonly onLoss: (counts: Counts) => void
  /** The clock went back by so many milliseconds, more than ids bridge. */
  readonly onStepBack: (millis: number) => void
}

const closed: Refusal = { reason: "closed", detail: "the process is stopping" }

/** Gives events their identity, time and number, appends them to the journal and puts them into the buffer. */
export const make = (
  incarnation: Incarnation,
  buffer: WriteQueue,
  clock: Clock.Clock,
  options: RecorderOptions
): Recorder => {
  const { journal, onLoss } = options
  const { source } = incarnation
  const nextId = makeUuidV7((bytes) => Crypto.randomFillSync(bytes), options.onStepBack)
  let refused = 0
  let shed = 0
  let lastSeq = 0
  let lastShed = 0
  let shedRange: ShedRange | undefined

  const counts = () => ({ lastSeq, refused, shed, offered: lastSeq + refused })

  const full = (): Refusal => ({ reason: "full", detail: `${buffer.depth()} events wait for the database` })

  const take = (event: AuditEvent, urgent: boolean, traceId: string | undefined): AuditId | Refusal => {
    if (buffer.isClosed()) return closed
    if (!buffer.hasRoom()) return full()
    // A raw reading of the clock: an effect for each would cost more than the rest of the identity.
    const timestamp = clock.unsafeCurrentTimeMillis()
    const id = nextId(timestamp)
    const seq = lastSeq + 1
    const draft = draftRow(encodeEvent(event, traceId), { id, timestamp, source, seq })
    const json = canonicalJson(draft)
    const problem = journal?.append(seq, json)
    if (problem !== undefined) return problem
    lastSeq = seq
    buffer.offer(sealRow(draft, json), urgent)
    return id
  }

  const refuse = (refusal: Refusal): Refusal => {
    refused += 1
    onLoss(counts())
    return refusal
  }

  const shedOne = (): AuditId => {
    shed += 1
    lastSeq += 1
    lastShed = lastSeq
    shedRange = { from: shedRange?.from ?? lastSeq, to: lastSeq, count: (shedRange?.count ?? 0) + 1 }
    onLoss(counts())
    return nextId(clock.unsafeCurrentTimeMillis())
  }

  const journalTakes = (): boolean => {
    const problem = journal?.status().problem ?? null
    // Whoever promises the disk before the answer refuses by himself.
    return problem === null || problem.reason === "hanging"
  }

  return {
    incarnation,
    accepting: () => !buffer.isClosed() && (options.onFull === "shed" || (buffer.hasRoom() && journalTakes())),
    lastSeq: () => lastSeq,
    lastShed: () => lastShed,
    counts,
    record: (event, urgent = false, traceId) => {
      const taken = take(event, urgent, traceId)
      if (typeof taken === "string") return taken
      if (options.onFull === "shed" && taken.reason !== "closed") return shedOne()
      return refuse(taken)
    },
    refuse,
    recordOwn: (event, traceId) => {
      const taken = take(event, false, traceId)
      return typeof taken === "string" ? taken : undefined
    },
    shedRange: () => shedRange,
    receipted: () => {
      shedRange = undefined
    }
  }
}
