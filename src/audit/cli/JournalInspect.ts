import * as Console from "effect/Console"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { commandFailed, type OutputFlags, runCommand } from "../../platform/cli/CommandRunner.ts"
import { type Cell, renderFacts, renderTable } from "../../platform/cli/Table.ts"
import { snakeCase, visibleJson } from "../../platform/cli/TerminalText.ts"
import { StandardStreams } from "../../platform/os/StandardStreams.ts"
import type { Checkpoint } from "../journal/CheckpointFile.ts"
import type { JournalIdentity } from "../journal/SegmentHeader.ts"
import { sizeOf } from "../journal/SeqRanges.ts"
import { journalAt } from "./JournalLocation.ts"
import { type JournalRecord, type JournalReport, readJournal, recordsOf, type SegmentReport } from "./JournalReport.ts"

const alert = (count: number, tone: "warn" | "bad", text = String(count)): Cell | string =>
  count === 0 ? text : { text, tone }

const renderSegments = (segments: ReadonlyArray<SegmentReport>, colours: boolean): string =>
  segments.length === 0
    ? "No segments."
    : renderTable(
        ["segment", "header", "bytes", "records", "first", "last", "corrupt spans", "corrupt bytes", "torn bytes"],
        segments.map((one) => [
          one.name,
          one.header === "whole" ? one.header : { text: one.header, tone: "bad" },
          String(one.bytes),
          String(one.records),
          String(one.firstSeq ?? "-"),
          String(one.lastSeq ?? "-"),
          alert(one.corruptSpans, "bad"),
          alert(one.corruptBytes, "bad"),
          alert(one.tornBytes, "warn")
        ]),
        colours
      )

const startOf = ({ startedAt }: JournalIdentity): string => DateTime.formatIso(DateTime.unsafeMake(startedAt))

const stateCell = ({ state }: JournalReport): Cell | string =>
  state === null
    ? { text: "not readable", tone: "bad" }
    : `last number ${state.lastSeq}, refused ${state.refused}, shed ${state.shed}, settled up to ` +
      `${state.acknowledged}, ${state.ended ? "ended in order" : "not ended"}`

/** Renders the report as a table of facts and a table of segments. */
export const renderReport = (report: JournalReport, colours: boolean): string => {
  const { holder, identity, path, pending, quarantined, segments } = report
  const known = (text: (identity: JournalIdentity) => string): Cell | string =>
    identity === null ? { text: "unknown", tone: "bad" } : text(identity)
  const head = renderFacts(
    "journal",
    path,
    [
      ["trail", known(({ trail }) => trail)],
      ["source", known(({ source }) => source)],
      ["process", known((one) => `${one.pid} on ${one.host}, started ${startOf(one)}`)],
      ["mode", known(({ durability }) => durability)],
      ["held by", holder ?? "no process"],
      ["state", stateCell(report)],
      ["not settled", String(sizeOf(pending))],
      ["quarantine", alert(quarantined, "bad", `${quarantined} damaged spans`)]
    ],
    colours
  )
  return `${head}\n\n${renderSegments(segments, colours)}`
}

const checkpointJson = ({ generation: _, identity: _identity, limiting: _limiting, ...values }: Checkpoint) =>
  snakeCase(values)

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
    started_at: identity === null ? null : startOf(identity),
    state: state === null ? null : checkpointJson(state),
    bytes,
    unsettled: sizeOf(pending),
    quarantined_spans: quarantined,
    segments: segments.map((segment) => snakeCase(segment))
  }
}

/** `journal inspect`: reports the contents of a journal's files. */
export const inspectJournal = (location: string, options: OutputFlags) =>
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
  return one._tag === "Frame"
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
