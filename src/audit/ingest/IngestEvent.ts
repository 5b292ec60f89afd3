import type { AuditEvent } from "../../domain/AuditEvent.ts"
import type { EncodedEvent } from "../encoding/AuditRow.ts"
import { encodeCanonical } from "../encoding/CanonicalJson.ts"
import { encodeEvent } from "../encoding/EventEncoding.ts"

/** An event as an ingest client sent it. All of it is the client's claim. */
export interface IngestEvent {
  /** The client's own key: 1 to 200 characters, well-formed and without NUL. */
  readonly clientId: string
  readonly event: AuditEvent
  /** RFC 3339 with a zone; null where the client sent no time. */
  readonly occurredAt: string | null
  /** SHA-256 of the event as it was sent, 64 hexadecimal digits: tells a repeat from another event under the same key. */
  readonly digest: string
}

/** Bounds of the member `ingest`: small, because each of its parts is bounded before. */
const ingestBudget = { depth: 2, members: 8, size: 16_384, key: 128 } as const

/**
 * Encodes the event for its row. The client's metadata go into the member `claimed`, so that they cannot replace the member
 * `ingest`, which names the sender.
 */
export const encodeIngested = (identity: string, { clientId, event, occurredAt }: IngestEvent): EncodedEvent => {
  const encoded = encodeEvent(event)
  const ingest = encodeCanonical({ by: identity, id: clientId, occurred_at: occurredAt }, ingestBudget).json
  // In the order of RFC 8785.
  return { ...encoded, metadata: `{"claimed":${encoded.metadata},"ingest":${ingest}}` }
}
