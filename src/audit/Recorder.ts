import * as Crypto from "node:crypto"
import * as Os from "node:os"
import type * as Clock from "effect/Clock"
import type { AuditEvent } from "../domain/AuditEvent.ts"
import type { AuditBuffer } from "./AuditBuffer.ts"
import type { AuditId } from "./AuditId.ts"
import { makeRow } from "./AuditRow.ts"
import type { Incarnation } from "./AuditStore.ts"
import { encodeEvent } from "./EventEncoding.ts"
import { makeUuidV7 } from "./UuidV7.ts"

export interface Recorder {
  readonly incarnation: Incarnation
  /** Synchronous from end to end, so numbers and rows are in one order and the bounds are exact. Never throws. */
  readonly record: (event: AuditEvent) => AuditId | { readonly refused: "full" | "closed" }
  readonly accepting: () => boolean
  readonly counts: () => {
    readonly offered: number
    readonly refused: number
    readonly shed: number
    /** 0 before the first. */
    readonly lastSeq: number
  }
}

/** Gives events their identity, time and number, and puts them into the buffer. Its life is the incarnation's. */
export const make = (
  buffer: AuditBuffer,
  clock: Clock.Clock,
  options: {
    readonly onFull: "refuse" | "shed"
    /** The clock went back by so many milliseconds, more than ids bridge. */
    readonly onStepBack: (millis: number) => void
  }
): Recorder => {
  const incarnation: Incarnation = {
    source: Crypto.randomUUID(),
    host: Os.hostname(),
    pid: process.pid,
    startedAt: clock.unsafeCurrentTimeMillis()
  }
  const nextId = makeUuidV7((bytes) => Crypto.randomFillSync(bytes), options.onStepBack)
  let offered = 0
  let refused = 0
  let shed = 0
  let lastSeq = 0

  return {
    incarnation,
    accepting: () => !buffer.isClosed() && (options.onFull === "shed" || buffer.hasRoom()),
    counts: () => ({ offered, refused, shed, lastSeq }),
    record: (event) => {
      offered += 1
      if (buffer.isClosed()) {
        refused += 1
        return { refused: "closed" }
      }
      // A raw reading of the clock: an effect for each would cost more than the rest of the identity.
      const timestamp = clock.unsafeCurrentTimeMillis()
      if (!buffer.hasRoom()) {
        if (options.onFull === "refuse") {
          refused += 1
          return { refused: "full" }
        }
        shed += 1
        lastSeq += 1
        return nextId(timestamp)
      }
      const encoded = encodeEvent(event)
      const id = nextId(timestamp)
      lastSeq += 1
      buffer.offer(makeRow(encoded, { id, timestamp, source: incarnation.source, seq: lastSeq }))
      return id
    }
  }
}
