import * as Crypto from "node:crypto"
import * as Schema from "effect/Schema"
import { OpenRecord } from "../../contracts/OpenRecord.ts"
import { AuditId } from "./AuditId.ts"

/**
 * The columns of `gatekeeper.audit_log`, in order: the one list that statements, bounds and encodings are made from. `field` is
 * the name in the program, `type` the PostgreSQL type, `limit` the maximum of code points, which the table checks too.
 */
export const auditColumns = {
  id: { field: "id", type: "uuid" },
  timestamp: { field: "timestamp", type: "timestamptz" },
  source: { field: "source", type: "uuid" },
  seq: { field: "seq", type: "bigint" },
  ghost_id: { field: "ghostId", type: "text", limit: 100 },
  shell_id: { field: "shellId", type: "text", limit: 100 },
  action: { field: "action", type: "text", limit: 100 },
  resource: { field: "resource", type: "text", limit: 255 },
  result: { field: "result", type: "text", limit: 20 },
  reason: { field: "reason", type: "text", limit: 1_000 },
  request_id: { field: "requestId", type: "text", limit: 100 },
  metadata: { field: "metadata", type: "jsonb" },
  marks: { field: "marks", type: "text[]" },
  leaf_hash: { field: "leafHash", type: "bytea" }
} as const

export type AuditColumn = keyof typeof auditColumns

/** The columns of bounded text. */
export type TextColumn = {
  [Column in AuditColumn]: (typeof auditColumns)[Column] extends { readonly limit: number } ? Column : never
}[AuditColumn]

const entries = Object.entries(auditColumns)

/** The column names, separated by commas. */
export const columnList: string = entries.map(([name]) => name).join(", ")

/** The column names with their types, as `json_to_recordset` needs them. */
export const columnDefinitions: string = entries.map(([name, { type }]) => `${name} ${type}`).join(", ")

/** What a select returns under the program's field names; a bytea is returned in hexadecimal. */
export const selectedColumns: string = entries
  .map(([name, { field, type }]) => `${type === "bytea" ? `encode(${name}, 'hex')` : name} as "${field}"`)
  .join(", ")

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

/** An event as the table holds it. It never changes. */
export interface AuditRow extends EncodedEvent, Identity {}

export interface HashedRow extends AuditRow {
  /** SHA-256 of `canonicalJson`, 64 hexadecimal digits. */
  readonly leafHash: string
  /** Characters of `canonicalJson`: the size of the row in memory. */
  readonly size: number
}

const beforeMetadata = (row: Omit<AuditRow, "metadata">): string =>
  `{"action":${JSON.stringify(row.action)},"ghost_id":${JSON.stringify(row.ghostId)},"id":"${row.id}",` +
  `"marks":${JSON.stringify(row.marks)},"metadata":`

const afterMetadata = (row: Omit<AuditRow, "metadata">): string =>
  `,"reason":${JSON.stringify(row.reason)},"request_id":${JSON.stringify(row.requestId)},` +
  `"resource":${JSON.stringify(row.resource)},"result":${JSON.stringify(row.result)},"seq":${row.seq},` +
  `"shell_id":${JSON.stringify(row.shellId)},"source":"${row.source}",` +
  `"timestamp":"${new Date(row.timestamp).toISOString()}"}`

/**
 * The event's canonical JSON (RFC 8785): the columns of its row under their own names. A reader of the row can rebuild it and
 * check `leaf_hash`.
 */
export const canonicalJson = (row: AuditRow): string => beforeMetadata(row) + row.metadata + afterMetadata(row)

/** A row without its hash. The fields are copied one by one, because object spread would cost more than all other steps. */
export const draftRow = (event: EncodedEvent, identity: Identity) => ({
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
})

/** Completes a draft with the hash and the size of its canonical JSON. */
export const sealRow = (draft: ReturnType<typeof draftRow>, json: string): HashedRow => {
  draft.leafHash = Crypto.hash("sha256", json, "hex")
  draft.size = json.length
  return draft
}

export const makeRow = (event: EncodedEvent, identity: Identity): HashedRow => {
  const draft = draftRow(event, identity)
  return sealRow(draft, canonicalJson(draft))
}

const text = Schema.NullOr(Schema.String)

/** Names in the order of `canonicalJson`. */
const CanonicalEvent = Schema.Struct({
  action: text,
  ghost_id: text,
  id: AuditId,
  marks: Schema.Array(Schema.String),
  metadata: OpenRecord,
  reason: text,
  request_id: text,
  resource: text,
  result: Schema.String,
  seq: Schema.Number.pipe(Schema.int(), Schema.positive(), Schema.lessThanOrEqualTo(Number.MAX_SAFE_INTEGER)),
  shell_id: text,
  source: Schema.UUID,
  timestamp: Schema.String
})
const isCanonicalEvent = Schema.is(CanonicalEvent)
const isObject = Schema.is(OpenRecord)

const parsed = (json: string): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

/**
 * Returns the row whose `canonicalJson` is this text; undefined when the text is not canonical. The metadata are cut out of the
 * text: built again from their parsed form, keys that look like numbers would change places, and the hash with them.
 */
export const rowOf = (json: string): HashedRow | undefined => {
  const event = parsed(json)
  if (!isCanonicalEvent(event)) return undefined
  const timestamp = Date.parse(event.timestamp)
  if (Number.isNaN(timestamp)) return undefined
  const plain = {
    id: event.id,
    timestamp,
    source: event.source,
    seq: event.seq,
    ghostId: event.ghost_id,
    shellId: event.shell_id,
    action: event.action,
    resource: event.resource,
    result: event.result,
    reason: event.reason,
    requestId: event.request_id,
    marks: event.marks
  }
  const before = beforeMetadata(plain)
  const after = afterMetadata(plain)
  if (json.length < before.length + after.length || !json.startsWith(before) || !json.endsWith(after)) return undefined
  const metadata = json.slice(before.length, json.length - after.length)
  // Otherwise unknown members could hide between the members of the canonical form.
  if (!isObject(parsed(metadata))) return undefined
  return sealRow({ ...plain, metadata, leafHash: "", size: 0 }, json)
}
