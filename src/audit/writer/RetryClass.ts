import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"

/**
 * What to do about a failed write.
 *
 * - `transient`: the database is away, busy or read-only. Try again for as long as it takes; costs the rows no attempt.
 * - `set-up`: the role, the schema or the database is wrong. Pause and shout; nothing is burnt.
 * - `partition`: the table has no partition for the row. Make it, then try again.
 * - `doubt`: some row may be there already. Send the same ids again, tolerating those.
 * - `data`: a row is bad. Find it.
 * - `unknown`: a few attempts, then as if the data were bad: one unknown row must not wedge the drain.
 */
export type RetryClass = "transient" | "set-up" | "partition" | "doubt" | "data" | "unknown"

/**
 * By SQLSTATE, PostgreSQL's appendix A; the longest matching prefix decides. A null in a column that must have a value (23502) is
 * never the row's fault: the recorder fills every column that it knows, so the table has one that it does not.
 */
const byPrefix: ReadonlyArray<readonly [prefix: string, RetryClass]> = [
  ["08", "transient"],
  ["53", "transient"],
  ["57P", "transient"],
  ["57014", "transient"],
  ["55P03", "transient"],
  ["58", "transient"],
  ["40", "transient"],
  ["25006", "transient"],
  ["25P03", "transient"],
  ["25P04", "transient"],
  ["22", "data"],
  ["23502", "set-up"],
  ["23", "data"],
  ["54", "data"],
  ["28", "set-up"],
  ["42", "set-up"],
  ["3D", "set-up"],
  ["3F", "set-up"],
  ["P0001", "set-up"]
]

/**
 * Without a SQLSTATE the server did not speak: away, cut off, or silent past the deadline. A check violation (23514) names
 * its constraint; the one without says that no partition takes the row.
 */
export const retryClass = (error: Pick<DatabaseError, "sqlstate" | "constraint">): RetryClass => {
  const { sqlstate } = error
  if (sqlstate === undefined) return "transient"
  if (sqlstate === "23514" && error.constraint === undefined) return "partition"
  if (sqlstate === "23505") return "doubt"
  const known = byPrefix.filter(([prefix]) => sqlstate.startsWith(prefix))
  return known.toSorted(([a], [b]) => b.length - a.length)[0]?.[1] ?? "unknown"
}
