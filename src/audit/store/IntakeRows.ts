import type { HashedRow } from "../encoding/AuditRow.ts"

/** Rows of one source with consecutive numbers: one row of `audit_intake`. */
export interface IntakeRun {
  readonly source: string
  readonly firstSeq: number
  readonly n: number
}

/** Rows for the tree. */
export interface Intake {
  readonly runs: ReadonlyArray<IntakeRun>
  /** The entries of all runs, one behind the other. */
  readonly entries: Uint8Array
}

/** The format of each event that this program writes, as the first byte of its entry. */
const format = "01"

/** What the tree needs of a row. */
export type IntakeRow = Pick<HashedRow, "id" | "leafHash" | "seq" | "source">

/** Divides rows into runs of one source with consecutive numbers, in their order. */
export const intakeOf = (rows: ReadonlyArray<IntakeRow>): Intake => {
  const runs: Array<{ source: string; firstSeq: number; n: number }> = []
  let hex = ""
  for (const { id, leafHash, seq, source } of rows) {
    hex += format + id.replaceAll("-", "") + leafHash
    const last = runs.at(-1)
    if (last !== undefined && last.source === source && last.firstSeq + last.n === seq) last.n += 1
    else runs.push({ source, firstSeq: seq, n: 1 })
  }
  return { runs, entries: Buffer.from(hex, "hex") }
}

/** The values of `intakeClause`, as texts: base64 is the shortest that needs no escape in a literal. */
export const intakeValues = (rows: ReadonlyArray<IntakeRow>): readonly [runs: string, entries: string] => {
  const { entries, runs } = intakeOf(rows)
  let skip = 0
  const placed = runs.map(({ firstSeq, n, source }) => {
    const run = { source, first_seq: firstSeq, n, skip }
    skip += n
    return run
  })
  return [JSON.stringify(placed), Buffer.from(entries).toString("base64")]
}

/**
 * Queues entries for the tree: the first part of a statement with `with`. The queue row comes with the rows that it names, so each row is
 * queued in the transaction that wrote it. The values are parameters or literals.
 */
export const intakeClause = (runs: string, entries: string): string => `
  with intake as materialized (select decode(${entries}, 'base64') as entries),
  queued as (
    insert into gatekeeper.audit_intake (source, first_seq, n, entries)
    select run.source, run.first_seq, run.n, substr(intake.entries, run.skip * 49 + 1, run.n * 49)
    from intake cross join json_to_recordset(${runs}) as run (source uuid, first_seq bigint, n integer, skip integer)
  )`
