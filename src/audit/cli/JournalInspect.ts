import * as Console from "effect/Console"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Presentation } from "../../platform/cli/CommandRunner.ts"
import { commandFailed, runCommand } from "../../platform/cli/CommandRunner.ts"
import { type Cell, renderTable } from "../../platform/cli/Table.ts"
import { visibleJson } from "../../platform/cli/TerminalText.ts"
import { StandardStreams } from "../../platform/os/StandardStreams.ts"
import { sizeOf } from "../recovery/MissingRanges.ts"
import { journalAt } from "./JournalLocation.ts"
import { type JournalRecord, type JournalReport, readJournal, recordsOf, type SegmentReport } from "./JournalReport.ts"

const bad = (count: number, text = String(count)): Cell => (count === 0 ? { text } : { text, tone: "bad" })

const segmentRow = (one: SegmentReport): ReadonlyArray<Cell> => [
  { text: one.name },
  one.header === "whole" ? { text: one.header } : { text: one.header, tone: "bad" },
  { text: String(one.bytes) },
  { text: String(one.records) },
  { text: String(one.firstSeq ?? "-") },
  { text: String(one.lastSeq ?? "-") },
  bad(one.corruptSpans),
  bad(one.corruptBytes),
  one.tornBytes === 0 ? { text: "0" } : { text: String(one.tornBytes), tone: "warn" }
]

const renderSegments = (segments: ReadonlyArray<SegmentReport>, colours: boolean): string =>
  segments.length === 0
    ? "No segments."
    : renderTable(
        ["segment", "header", "bytes", "records", "first", "last", "corrupt spans", "corrupt bytes", "torn bytes"],
        segments.map(segmentRow),
        colours
      )

const stateCell = ({ state }: JournalReport): Cell =>
  state === null
    ? { text: "not readable", tone: "bad" }
    : {
        text:
          `last number ${state.lastSeq}, refused ${state.refused}, shed ${state.shed}, settled up to ` +
          `${state.acknowledged}, ${state.ended ? "ended in order" : "not ended"}`
      }

/** Renders the report as a table of facts and a table of segments. */
export const renderReport = (report: JournalReport, colours: boolean): string => {
  const { holder, identity, path, pending, quarantined, segments } = report
  const unknown: Cell = { text: "unknown", tone: "bad" }
  const fact = (name: string, cell: Cell): ReadonlyArray<Cell> => [{ text: name, tone: "quiet" }, cell]
  const started = identity === null ? "" : DateTime.formatIso(DateTime.unsafeMake(identity.startedAt))
  const head = renderTable(
    ["journal", path],
    [
      fact("trail", identity === null ? unknown : { text: identity.trail }),
      fact("source", identity === null ? unknown : { text: identity.source }),
      fact(
        "process",
        identity === null ? unknown : { text: `${identity.pid} on ${identity.host}, started ${started}` }
      ),
      fact("mode", identity === null ? unknown : { text: identity.durability }),
      fact("held by", { text: holder ?? "no process" }),
      fact("state", stateCell(report)),
      fact("not settled", { text: String(sizeOf(pending)) }),
      fact("quarantine", bad(quarantined, `${quarantined} damaged spans`))
    ],
    colours
  )
  return `${head}\n\n${renderSegments(segments, colours)}`
}

const segmentJson = (one: SegmentReport) => ({
  name: one.name,
  bytes: one.bytes,
  header: one.header,
  records: one.records,
  first_seq: one.firstSeq,
  last_seq: one.lastSeq,
  corrupt_spans: one.corruptSpans,
  corrupt_bytes: one.corruptBytes,
  torn_bytes: one.tornBytes
})

export const reportJson = (report: JournalReport) => {
  const { bytes, holder, identity, path, pending, quarantined, segments, state } = report
  return {
    path,
    holder,
    trail: identity?.trail ?? null,
    source: identity?.source ?? null,
    host: identity?.host ?? null,
    pid: identity?.pid ?? null,
    boot_id: identity?.bootId ?? null,
    durability: identity?.durability ?? null,
    started_at: identity === null ? null : DateTime.formatIso(DateTime.unsafeMake(identity.startedAt)),
    state:
      state === null
        ? null
        : {
            last_seq: state.lastSeq,
            refused: state.refused,
            shed: state.shed,
            acknowledged: state.acknowledged,
            ended: state.ended
          },
    bytes,
    unsettled: sizeOf(pending),
    quarantined_spans: quarantined,
    segments: segments.map(segmentJson)
  }
}

/** `journal inspect`: reports the contents of a journal's files. */
export const inspectJournal = (location: string, options: Omit<Presentation, "command">) =>
  runCommand({
    ...options,
    command: "journal inspect",
    work: Effect.flatMap(journalAt(location), readJournal),
    render: renderReport,
    toJson: reportJson
  })

/** The event is inserted as the file has it: it is canonical JSON. */
const lineOf = (one: JournalRecord): string => {
  const place = `"segment":${JSON.stringify(one.segment)},"offset":${one.offset}`
  return one._tag === "Record"
    ? visibleJson(`{${place},"seq":${one.seq},"event":${one.json}}`)
    : `{${place},"bytes":${one.bytes},"damage":"${one.kind}"}`
}

const isAccepted = Effect.map(
  Effect.serviceOption(StandardStreams),
  Option.match({ onNone: () => true, onSome: ({ stdout }) => stdout.problem() === undefined })
)

/** `journal inspect --events`: prints a line for each record and each damaged span, in order, and nothing else on stdout. */
export const printRecords = (location: string) =>
  journalAt(location).pipe(
    Effect.flatMap((path) =>
      // Once stdout does not accept a line, the rest of the journal need not be read.
      Stream.runForEachWhile(recordsOf(path), (record) => Effect.zipRight(Console.log(lineOf(record)), isAccepted))
    ),
    Effect.mapError(commandFailed)
  )
