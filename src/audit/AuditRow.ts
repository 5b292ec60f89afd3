import * as Crypto from "node:crypto"
import type { AuditId } from "./AuditId.ts"

/** An event, bounded and clean. */
export interface EncodedEvent {
  readonly ghostId: string | null
  readonly shellId: string | null
  readonly action: string | null
  readonly resource: string | null
  readonly result: string
  readonly reason: string | null
  readonly requestId: string | null
  /** Canonical JSON of an object. */
  readonly metadata: string
  /** `field:what`, in ascending order, without repeats. */
  readonly marks: ReadonlyArray<string>
}

export interface Identity {
  readonly id: AuditId
  /** Milliseconds since the epoch. */
  readonly timestamp: number
  readonly source: string
  readonly seq: number
}

/** An event as it goes into the table, never changed again. */
export interface AuditRow extends EncodedEvent, Identity {}

export interface HashedRow extends AuditRow {
  /** SHA-256 of `canonicalJson`, 64 hexadecimal digits. */
  readonly leafHash: string
  /** Characters of `canonicalJson`: what the row weighs in a buffer. */
  readonly size: number
}

/**
 * The event's canonical bytes as text (RFC 8785): the columns of its row under their own names, so that anybody who reads the
 * row can make them again and check `leaf_hash`.
 */
export const canonicalJson = (row: AuditRow): string =>
  `{"action":${JSON.stringify(row.action)},"ghost_id":${JSON.stringify(row.ghostId)},"id":"${row.id}",` +
  `"marks":${JSON.stringify(row.marks)},"metadata":${row.metadata},"reason":${JSON.stringify(row.reason)},` +
  `"request_id":${JSON.stringify(row.requestId)},"resource":${JSON.stringify(row.resource)},` +
  `"result":${JSON.stringify(row.result)},"seq":${row.seq},"shell_id":${JSON.stringify(row.shellId)},` +
  `"source":"${row.source}","timestamp":"${new Date(row.timestamp).toISOString()}"}`

/** Written out field by field: object spread costs more here than everything else together. */
export const makeRow = (event: EncodedEvent, identity: Identity): HashedRow => {
  const row = {
    id: identity.id,
    timestamp: identity.timestamp,
    source: identity.source,
    seq: identity.seq,
    ghostId: event.ghostId,
    shellId: event.shellId,
    action: event.action,
    resource: event.resource,
    result: event.result,
    reason: event.reason,
    requestId: event.requestId,
    metadata: event.metadata,
    marks: event.marks,
    leafHash: "",
    size: 0
  }
  const json = canonicalJson(row)
  row.leafHash = Crypto.hash("sha256", json, "hex")
  row.size = json.length
  return row
}
