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
