import type { HashedRow } from "../encoding/AuditRow.ts"

const special = /[\\\t\n\r]/
const specialAll = /[\\\t\n\r]/g

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r" }

const escaped = (text: string): string =>
  special.test(text) ? text.replace(specialAll, (character) => escapes[character] ?? character) : text

const field = (text: string | null): string => (text === null ? "\\N" : escaped(text))

/**
 * A row in COPY's text format (PostgreSQL, "COPY", File Formats), in the order of `auditColumns`. Marks need no quotes within
 * the array: they consist of lower-case words, `:`, `-` and `_`. The backslash of bytea's `\x` form is data and is doubled.
 */
export const copyLine = (row: HashedRow): string =>
  `${row.id}\t${new Date(row.timestamp).toISOString()}\t${row.source}\t${row.seq}\t${field(row.ghostId)}\t` +
  `${field(row.shellId)}\t${field(row.action)}\t${field(row.resource)}\t${escaped(row.result)}\t${field(row.reason)}\t` +
  `${field(row.requestId)}\t${escaped(row.metadata)}\t{${row.marks.join(",")}}\t\\\\x${row.leafHash}\n`

const linesPerChunk = 64

/** The rows in COPY's text format, chunk by chunk: PostgreSQL reads one while the next is made. */
export function* copyChunks(rows: ReadonlyArray<HashedRow>): Generator<string> {
  for (let start = 0; start < rows.length; start += linesPerChunk) {
    let chunk = ""
    for (const row of rows.slice(start, start + linesPerChunk)) chunk += copyLine(row)
    yield chunk
  }
}
