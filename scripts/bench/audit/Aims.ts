import { fixed, line } from "../../../test/support/Table.ts"
import { type Bound, boundText, isWithin, aims as performanceAims } from "../../docs/performance/Aims.ts"
import type { DrainReport } from "./DrainBench.ts"
import type { RecordReport } from "./RecordBench.ts"
import type { ValidateReport } from "./ValidateBench.ts"

interface Aim extends Bound {
  readonly what: string
  readonly value: number
}

const aims = ({ drain, record, validate }: Reports): ReadonlyArray<Aim> => [
  { what: "journal p99 / (stringify + bare append) p99", value: record.ratios.journalToAppend.p99, atMost: 3 },
  { what: "journal p99.9, microseconds", value: record.microseconds.journal.p999, atMost: 100 },
  { ...performanceAims.drainToCopy, value: drain.ratios.drainToCopy },
  { what: "/validate with the journal / without audit", value: validate.ratios.journalToOff, atLeast: 0.95 }
]

interface Reports {
  readonly record: RecordReport
  readonly drain: DrainReport
  readonly validate: ValidateReport
}

/** What is asked of the trail on a quiet machine, and what this run saw. */
export const aimsTable = (reports: Reports): ReadonlyArray<string> => [
  line("aims, on a quiet machine", ["aim", "here", ""]),
  ...aims(reports).map((aim) =>
    line(aim.what, [boundText(aim), fixed(2)(aim.value), isWithin(aim, aim.value) ? "met" : "missed"])
  )
]
