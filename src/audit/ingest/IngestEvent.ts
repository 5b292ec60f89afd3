import type { AuditEvent } from "../../domain/AuditEvent.ts"
import type { EncodedEvent } from "../encoding/AuditRow.ts"
import { encodeCanonical } from "../encoding/CanonicalJson.ts"
import { encodeEvent } from "../encoding/EventEncoding.ts"

/** An event as a client of the ingest tells it. All of it is the client's claim. */
export interface IngestEvent {
  /** The client's own key: 1 to 200 characters, well-formed and without NUL. */
  readonly clientId: string
  readonly event: AuditEvent
  /** RFC 3339 with a zone; null where the client does not say when it was. */
  readonly occurredAt: string | null
  /** SHA-256 of all that was sent of it, 64 hexadecimal digits: tells a repeat from another event under the same key. */
  readonly digest: string
}

/** Who brought it, and under which key: small, since each part is bounded before. */
const broughtBudget = { depth: 2, members: 8, size: 16_384, key: 128 } as const

/**
 * What goes into the row. The metadata that the client claims stay below `claimed`, so that nothing it sends stands where
 * `ingest` says who brought the event.
 */
export const encodeIngested = (identity: string, { clientId, event, occurredAt }: IngestEvent): EncodedEvent => {
  const encoded = encodeEvent(event)
  const ingest = encodeCanonical({ by: identity, id: clientId, occurred_at: occurredAt }, broughtBudget).json
  // In the order of RFC 8785.
  return { ...encoded, metadata: `{"claimed":${encoded.metadata},"ingest":${ingest}}` }
}
