import * as DateTime from "effect/DateTime"
import { type Cell, renderTable } from "../../platform/cli/Table.ts"
import type { JournalFacts, SegmentFacts } from "./JournalFacts.ts"
import { sizeOf } from "./SourceAccount.ts"

const bad = (count: number, text = String(count)): Cell => (count === 0 ? { text } : { text, tone: "bad" })

const segmentRow = (one: SegmentFacts): ReadonlyArray<Cell> => [
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

export const renderSegments = (segments: ReadonlyArray<SegmentFacts>, colours: boolean): string =>
  segments.length === 0
    ? "No segments."
    : renderTable(
        ["segment", "header", "bytes", "records", "first", "last", "corrupt spans", "corrupt bytes", "torn bytes"],
        segments.map(segmentRow),
        colours
      )

const stateText = ({ state }: JournalFacts): Cell =>
  state === null
    ? { text: "not readable", tone: "bad" }
    : {
        text:
          `last number ${state.lastSeq}, refused ${state.refused}, shed ${state.shed}, settled up to ` +
          `${state.acknowledged}, ${state.ended ? "ended in order" : "not ended"}`
      }

export const renderFacts = (facts: JournalFacts, colours: boolean): string => {
  const { holder, identity, path, pending, quarantined, segments } = facts
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
      fact("held by", { text: holder ?? "nobody" }),
      fact("state", stateText(facts)),
      fact("not settled", { text: String(sizeOf(pending)) }),
      fact("put aside", bad(quarantined, `${quarantined} damaged spans`))
    ],
    colours
  )
  return `${head}\n\n${renderSegments(segments, colours)}`
}

export const segmentJson = (one: SegmentFacts) => ({
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

export const factsJson = ({ bytes, holder, identity, path, pending, quarantined, segments, state }: JournalFacts) => ({
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
})
