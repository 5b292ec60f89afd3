import type { HashedRow } from "../encoding/AuditRow.ts"

/** Entries of rows of one source with consecutive numbers: one row of `audit_intake`. */
export interface IntakeRun {
  readonly source: string
  readonly firstSeq: number
  readonly n: number
  /** Hexadecimal of `n` entries. */
  readonly entries: string
}

/** The format of each event that this program writes, as the first byte of its entry. */
const format = "01"

/** What the tree needs of a row. */
export type IntakeRow = Pick<HashedRow, "id" | "leafHash" | "seq" | "source">

/** Divides rows into runs of one source with consecutive numbers, in their order. */
export const intakeRuns = (rows: ReadonlyArray<IntakeRow>): ReadonlyArray<IntakeRun> => {
  const runs: Array<{ source: string; firstSeq: number; n: number; entries: string }> = []
  for (const { id, leafHash, seq, source } of rows) {
    const entry = format + id.replaceAll("-", "") + leafHash
    const last = runs.at(-1)
    if (last !== undefined && last.source === source && last.firstSeq + last.n === seq) {
      last.n += 1
      last.entries += entry
    } else {
      runs.push({ source, firstSeq: seq, n: 1, entries: entry })
    }
  }
  return runs
}

/** The runs as `json_to_recordset` reads them, with the columns of `intakeColumns`. */
export const intakeJson = (rows: ReadonlyArray<IntakeRow>): string =>
  JSON.stringify(
    intakeRuns(rows).map(({ entries, firstSeq, n, source }) => ({ source, first_seq: firstSeq, n, entries }))
  )

/**
 * Queues entries for the tree: the first part of a statement with `with`. The queue row comes with the rows that it names, so each row is
 * queued in the transaction that wrote it. `runs` is a parameter or a literal.
 */
export const intakeClause = (runs: string): string => `
  with queued as (
    insert into gatekeeper.audit_intake (source, first_seq, n, entries)
    select source, first_seq, n, decode(entries, 'hex')
    from json_to_recordset(${runs}) as run (source uuid, first_seq bigint, n integer, entries text)
  )`
