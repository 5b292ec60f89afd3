import type { AuditEvent } from "../../domain/AuditEvent.ts"
import type { AuditId } from "./AuditId.ts"

/**
 * The events of a source that a receipt reports as missing from the trail.
 *
 * - `shed`: answered without a record, because the trail was full (`AUDIT_ON_FULL=shed`).
 * - `gap`: recorded, but in neither the table nor the dead letters.
 * - `quarantined`: their records in the journal were damaged; the bytes are kept in the quarantine.
 * - `tail`: it is unknown whether any were recorded after the number `after`.
 */
export type Loss =
  | {
      readonly kind: "shed" | "gap" | "quarantined"
      readonly source: string
      /** Both ends included. */
      readonly from: number
      readonly to: number
      /** How many of the numbers are missing; the others may have rows. */
      readonly count: number
    }
  | {
      readonly kind: "tail"
      readonly source: string
      /** The last number that is known. */
      readonly after: number
    }

export const receiptAction = "audit/loss"
export const receiptResult = "LOST"
export const sourceResource = (source: string): string => `audit/sources/${source}`

const events = (count: number): string => (count === 1 ? "1 event" : `${count} events`)

const numbers = (from: number, to: number): string => (from === to ? `number ${from}` : `numbers ${from} to ${to}`)

const reasonOf = (loss: Loss): string => {
  switch (loss.kind) {
    case "shed":
      return `${events(loss.count)} answered without a record, among ${numbers(loss.from, loss.to)}`
    case "gap":
      return `${events(loss.count)} in neither the trail nor the dead letters, among ${numbers(loss.from, loss.to)}`
    case "quarantined":
      return `${events(loss.count)} whose journal records were damaged, among ${numbers(loss.from, loss.to)}`
    case "tail":
      return `it ended without signing off: events after number ${loss.after}, if there were any, are lost`
  }
}

/** Makes the event that reports a loss in the trail. A tail has neither an end nor a count: both are null. */
export const lossReceipt = (loss: Loss): AuditEvent => ({
  action: receiptAction,
  resource: sourceResource(loss.source),
  ghostId: null,
  shellId: null,
  result: receiptResult,
  reason: reasonOf(loss),
  requestId: null,
  facts: {
    kind: loss.kind,
    source: loss.source,
    from_seq: loss.kind === "tail" ? loss.after + 1 : loss.from,
    to_seq: loss.kind === "tail" ? null : loss.to,
    count: loss.kind === "tail" ? null : loss.count
  }
})

export const limitAction = "audit/limit"

/** Makes the event that says of a source that its last counts of failures without a row are lost: no summary followed them. */
export const limitsCutOff = (source: string): AuditEvent => ({
  action: limitAction,
  resource: sourceResource(source),
  ghostId: null,
  shellId: null,
  result: "LIMITED",
  reason: "it ended while it limited failures: what it counted after its last summary, of a second at most, is lost",
  requestId: null,
  facts: { source, count: null }
})

/** Makes the event that follows an event whose answer was not given after all: its decision had no effect. `why` is the cause. */
export const withdrawal = (event: AuditEvent, auditId: AuditId, why: string): AuditEvent => ({
  action: event.action,
  resource: event.resource,
  ghostId: event.ghostId,
  shellId: event.shellId,
  result: "WITHDRAWN",
  reason: `the answer of event ${auditId} was not given: ${why}`,
  requestId: event.requestId,
  facts: { audit_id: auditId, why },
  ...(event.marks === undefined ? {} : { marks: event.marks })
})
