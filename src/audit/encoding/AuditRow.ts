import * as Crypto from "node:crypto"
import type { AuditId } from "./AuditId.ts"

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

/** The last three digits of a time in milliseconds. */
const millisText = Array.from({ length: 1_000 }, (_, millis) => `${String(millis).padStart(3, "0")}Z`)

const twoDigits = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, "0"))

const dayMillis = 86_400_000

/** The first millisecond whose year has five digits. */
const year10000 = 253_402_300_800_000

/**
 * Writes a time as `new Date(timestamp).toISOString()` does, faster. The date is by `civil_from_days` of Howard Hinnant's
 * "chrono-Compatible Low-Level Date Algorithms": an era has 400 years, and a year begins in March.
 */
export const isoTime = (timestamp: number): string => {
  if (!Number.isInteger(timestamp) || timestamp < 0 || timestamp >= year10000) return new Date(timestamp).toISOString()
  const days = Math.floor(timestamp / dayMillis)
  const millis = timestamp - days * dayMillis
  const era = Math.floor((days + 719_468) / 146_097)
  const dayOfEra = days + 719_468 - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
  const year = yearOfEra + era * 400 + (monthFromMarch < 10 ? 0 : 1)
  const seconds = Math.floor(millis / 1_000)
  return (
    `${year}-${twoDigits[month]}-${twoDigits[day]}T${twoDigits[Math.floor(seconds / 3_600)]}:` +
    `${twoDigits[Math.floor(seconds / 60) % 60]}:${twoDigits[seconds % 60]}.${millisText[millis % 1_000]}`
  )
}

const beforeMetadata = (row: Omit<AuditRow, "metadata">): string =>
  `{"action":${JSON.stringify(row.action)},"ghost_id":${JSON.stringify(row.ghostId)},"id":"${row.id}",` +
  `"marks":${JSON.stringify(row.marks)},"metadata":`

const afterMetadata = (row: Omit<AuditRow, "metadata">): string =>
  `,"reason":${JSON.stringify(row.reason)},"request_id":${JSON.stringify(row.requestId)},` +
  `"resource":${JSON.stringify(row.resource)},"result":${JSON.stringify(row.result)},"seq":${row.seq},` +
  `"shell_id":${JSON.stringify(row.shellId)},"source":"${row.source}",` +
  `"timestamp":"${isoTime(row.timestamp)}"}`

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
