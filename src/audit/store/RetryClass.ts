import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"

/**
 * The kind of a failed write, which decides what the writer does.
 *
 * - `transient`: the database is away, busy or read-only. Retry without limit; the rows lose no attempt.
 * - `set-up`: the role, the schema or the database is wrong. Pause and alarm; no row is given up.
 * - `partition`: the table has no partition for the row. Create it, then retry.
 * - `doubt`: some row may exist already. Send the same ids again and tolerate those that exist.
 * - `data`: a row is invalid. Find it.
 * - `unknown`: retry a few times, then treat it as `data`: one row must not block the writer.
 */
export type RetryClass = "transient" | "set-up" | "partition" | "doubt" | "data" | "unknown"

/**
 * By SQLSTATE, PostgreSQL's appendix A; the longest matching prefix decides. A null in a required column (23502) is never
 * the row's fault: the recorder fills every column that it knows, so the table has one that it does not know.
 */
const prefixes: ReadonlyArray<readonly [RetryClass, ReadonlyArray<string>]> = [
  ["transient", ["08", "53", "57P", "57014", "55P03", "58", "40", "25006", "25P03", "25P04"]],
  ["data", ["22", "23", "54"]],
  ["set-up", ["23502", "28", "42", "3D", "3F", "P0001"]]
]

const longestFirst = prefixes
  .flatMap(([kind, known]) => known.map((prefix) => ({ kind, prefix })))
  .toSorted((a, b) => b.prefix.length - a.prefix.length)

/**
 * Classifies a failed write. Without a SQLSTATE the server did not answer: it is away, disconnected or silent past the
 * deadline. A check violation (23514) names its constraint; one without a name says that no partition accepts the row.
 */
export const retryClass = (error: Pick<DatabaseError, "sqlstate" | "constraint">): RetryClass => {
  const { sqlstate } = error
  if (sqlstate === undefined) return "transient"
  if (sqlstate === "23514" && error.constraint === undefined) return "partition"
  if (sqlstate === "23505") return "doubt"
  return longestFirst.find(({ prefix }) => sqlstate.startsWith(prefix))?.kind ?? "unknown"
}

/** The server's message without `detail`, which can quote the row. */
export const describe = (error: DatabaseError): string =>
  error.sqlstate === undefined ? error.reason : `${error.reason} (SQLSTATE ${error.sqlstate})`
