import * as Effect from "effect/Effect"
import { list } from "../journal/OrphanedJournal.ts"
import type { JournalIdentity } from "../journal/SegmentHeader.ts"
import type { Gap } from "../sources/GapSearch.ts"
import { type JournalReport, readJournal } from "./JournalReport.ts"

/** The figures of a journal, of a running process or of one that ended. */
export interface JournalSummary {
  readonly path: string
  readonly source: string
  /** The process that writes the journal or takes it over; null when no process holds it. */
  readonly holder: string | null
  /** Whether the process that writes it is running. */
  readonly living: boolean
  /** Null when no file of the journal has it. */
  readonly identity: JournalIdentity | null
  readonly lastSeq: number
  readonly refused: number
  readonly shed: number
  /** Records that may not be in the database yet: those after the checkpoint of the process. */
  readonly pending: ReadonlyArray<Gap>
  readonly bytes: number
  /** Damaged spans in the quarantine. */
  readonly quarantined: number
  /** Why the journal could not be read; the figures are zero then. */
  readonly problem: string | null
}

const unreadable = (path: string, source: string, problem: string): JournalSummary => ({
  path,
  source,
  holder: null,
  living: false,
  identity: null,
  lastSeq: 0,
  refused: 0,
  shed: 0,
  pending: [],
  bytes: 0,
  quarantined: 0,
  problem
})

const summaryOf = (source: string, { segments, state, ...rest }: JournalReport): JournalSummary => {
  const { bytes, holder, identity, path, pending, quarantined } = rest
  return {
    path,
    source,
    holder,
    living: identity !== null && holder?.startsWith(`process ${identity.pid} on ${identity.host},`) === true,
    identity,
    lastSeq: segments.reduce((last, { lastSeq }) => Math.max(last, lastSeq ?? 0), state?.lastSeq ?? 0),
    refused: state?.refused ?? 0,
    shed: state?.shed ?? 0,
    pending,
    bytes,
    quarantined,
    problem: identity === null ? "neither its state nor the header of a segment can be read" : null
  }
}

/** Summarizes each journal in a directory, those of running processes too; none when the directory is missing. */
export const summariesIn = (directory: string): Effect.Effect<ReadonlyArray<JournalSummary>> =>
  Effect.flatMap(list(directory), (journals) =>
    Effect.forEach(journals, ({ path, source }) =>
      readJournal(path).pipe(
        Effect.map((report) => summaryOf(source, report)),
        Effect.catchAll(({ message }) => Effect.succeed(unreadable(path, source, message)))
      )
    )
  )
