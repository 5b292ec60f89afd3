import type { HashedRow } from "../encoding/AuditRow.ts"

/** In the order of `copyLine`. */
export const copyColumns =
  "id, timestamp, source, seq, ghost_id, shell_id, action, resource, result, reason, request_id, metadata, marks, leaf_hash"

const special = /[\\\t\n\r]/
const specialAll = /[\\\t\n\r]/g

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r" }

const escaped = (text: string): string =>
  special.test(text) ? text.replace(specialAll, (character) => escapes[character] ?? character) : text

const field = (text: string | null): string => (text === null ? "\\N" : escaped(text))

/**
 * A row in COPY's text format (PostgreSQL, "COPY", File Formats). Marks need no quoting within the array: they are made of
 * lower-case words, `:`, `-` and `_`. A backslash of bytea's own `\x` form counts as data and is doubled.
 */
export const copyLine = (row: HashedRow): string =>
  `${row.id}\t${new Date(row.timestamp).toISOString()}\t${row.source}\t${row.seq}\t${field(row.ghostId)}\t` +
  `${field(row.shellId)}\t${field(row.action)}\t${field(row.resource)}\t${escaped(row.result)}\t${field(row.reason)}\t` +
  `${field(row.requestId)}\t${escaped(row.metadata)}\t{${row.marks.join(",")}}\t\\\\x${row.leafHash}\n`

const linesPerPiece = 64

/** The rows as COPY's text, piece by piece: PostgreSQL works on one while the next is made. */
export function* copyPieces(rows: ReadonlyArray<HashedRow>): Generator<string> {
  for (let start = 0; start < rows.length; start += linesPerPiece) {
    let piece = ""
    for (const row of rows.slice(start, start + linesPerPiece)) piece += copyLine(row)
    yield piece
  }
}
