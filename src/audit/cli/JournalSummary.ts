import * as Effect from "effect/Effect"
import { list } from "../journal/OrphanedJournal.ts"
import { type JournalReport, readJournal } from "./JournalReport.ts"

/** The figures of a journal, of a running process or of one that ended. */
export interface JournalSummary
  extends Pick<JournalReport, "path" | "holder" | "identity" | "pending" | "bytes" | "quarantined"> {
  readonly source: string
  /** Whether the process that writes it is running. */
  readonly living: boolean
  readonly lastSeq: number
  readonly refused: number
  readonly shed: number
  /** Why the journal could not be read; the figures are zero then. */
  readonly problem: string | null
}

const unread = { holder: null, identity: null, state: null, segments: [], pending: [], bytes: 0, quarantined: 0 }

const summaryOf = (source: string, { segments, state, ...rest }: JournalReport): JournalSummary => {
  const { holder, identity } = rest
  return {
    ...rest,
    source,
    living: identity !== null && holder?.startsWith(`process ${identity.pid} on ${identity.host},`) === true,
    lastSeq: segments.reduce((last, { lastSeq }) => Math.max(last, lastSeq ?? 0), state?.lastSeq ?? 0),
    refused: state?.refused ?? 0,
    shed: state?.shed ?? 0,
    problem: identity === null ? "neither its state nor the header of a segment can be read" : null
  }
}

/** Summarizes each journal in a directory, those of running processes too; none when the directory is missing. */
export const summariesIn = (directory: string): Effect.Effect<ReadonlyArray<JournalSummary>> =>
  Effect.flatMap(list(directory), (journals) =>
    Effect.forEach(journals, ({ path, source }) =>
      readJournal(path).pipe(
        Effect.map((report) => summaryOf(source, report)),
        Effect.catchAll(({ message }) =>
          Effect.succeed({ ...summaryOf(source, { path, ...unread }), problem: message })
        )
      )
    )
  )
