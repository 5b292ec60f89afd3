import * as DateTime from "effect/DateTime"
import { type Cell, type Row, renderTable } from "../../platform/cli/Table.ts"
import { visible } from "../../platform/cli/TerminalText.ts"
import { type SeqRange, sizeOf } from "../journal/SeqRanges.ts"
import { type Balance, balanceView, sourceView } from "../sources/Conservation.ts"
import type { JournalSummary } from "./JournalReport.ts"
import { type SourceStatus, type TrailAccount, type TrailStatus, trailVerdict } from "./TrailStatus.ts"

/** Columns and, where a count above zero asks for attention, its colour. */
const columns = [
  ["offered", "offered", undefined],
  ["committed", "committed", undefined],
  ["pending", "pending", undefined],
  ["dead letters", "deadLettered", "warn"],
  ["quarantined", "quarantined", "bad"],
  ["refused", "refused", "warn"],
  ["shed", "shed", "bad"],
  ["lost", "lost", "bad"],
  ["unaccounted", "unaccounted", "bad"]
] as const

const figures = (one: Balance): Row =>
  columns.map(([, member, tone]) => {
    // A program without these counters wrote for the source, so the difference has no meaning.
    if (member === "unaccounted" && !one.counted) return { text: "?", tone: "quiet" }
    const text = String(one[member])
    return tone === undefined || one[member] === 0 ? text : { text, tone }
  })

const started = ({ journal, row }: SourceStatus): string => {
  if (row.startedAt !== null) return DateTime.formatIso(row.startedAt)
  return journal?.identity == null ? "-" : DateTime.formatIso(DateTime.unsafeMake(journal.identity.startedAt))
}

const renderSources = ({ count, sources, total }: TrailAccount, colours: boolean): string => {
  const rows = sources.map((one) => [
    one.row.source,
    one.row.identity === null ? one.standing : `${one.standing}, ${one.row.identity}`,
    started(one),
    one.row.durability ?? "-",
    ...figures(one.balance)
  ])
  const sum = [`all ${count}`, "", "", "", ...figures(total)]
  return renderTable(
    ["source", "standing", "started at", "mode", ...columns.map(([title]) => title)],
    count > 1 ? [...rows, sum] : rows,
    colours
  )
}

const rangeText = ({ from, to }: SeqRange): string => (from === to ? String(from) : `${from}-${to}`)

const shownRanges = 20

const renderGaps = ({ sources }: TrailAccount): ReadonlyArray<string> =>
  sources.flatMap(({ gaps, row }) => {
    if (gaps === null) return []
    const { beyond, named, unnamed, waiting } = gaps
    if (unnamed.length + named + waiting === 0) return []
    const more = unnamed.length > shownRanges ? ` and ${unnamed.length - shownRanges} more ranges` : ""
    const which = unnamed.length === 0 ? "none" : `${unnamed.slice(0, shownRanges).map(rangeText).join(", ")}${more}`
    const gone = beyond === 0 ? "" : `; ${beyond} were removed from the trail`
    return [`${row.source}: ${which} (besides ${named} that receipts name and ${waiting} that wait${gone})`]
  })

const trailCell = ({ identity }: JournalSummary, account: TrailAccount | null): Cell | string => {
  if (identity === null) return { text: "unknown", tone: "bad" }
  if (account === null) return identity.trail
  return identity.trail === account.trail ? "this one" : { text: `another: ${identity.trail}, left alone`, tone: "bad" }
}

const renderJournals = ({ account, directory, journals }: TrailStatus, colours: boolean): string => {
  const shown = visible(directory)
  if (journals.length === 0) return `No journals in ${shown}.`
  const rows = journals.map(
    (one): Row => [
      one.source,
      one.holder ?? { text: "no process", tone: "warn" },
      String(sizeOf(one.pending)),
      String(one.bytes),
      trailCell(one, account),
      { text: one.problem ?? "", tone: "bad" }
    ]
  )
  const header = ["source", "held by", "unconfirmed", "bytes", "trail", ""]
  return `Journals in ${shown}:\n${renderTable(header, rows, colours)}`
}

/** Renders the sources, their missing numbers, the journals and the dead letters. */
export const renderTrail = (status: TrailStatus, colours: boolean): string => {
  const { account } = status
  const journals = renderJournals(status, colours)
  if (account === null) return `The trail cannot be read; only the journals are shown.\n\n${journals}`
  const { deadLetters } = account
  const gaps = renderGaps(account)
  return [
    `Trail ${account.trail} in ${account.address}`,
    account.sources.length === 0 ? "Nothing was recorded yet." : renderSources(account, colours),
    ...(gaps.length === 0 ? [] : [`Numbers without a row or a dead letter:\n${gaps.join("\n")}`]),
    journals,
    `Dead letters: ${deadLetters.waiting} wait, ${deadLetters.total - deadLetters.waiting} are in the trail.`,
    ...(trailVerdict(status) === null
      ? [`Every event is accounted for: ${account.total.offered} of ${account.total.offered}.`]
      : [])
  ].join("\n\n")
}

const journalJson = (journal: JournalSummary) => ({
  source: journal.source,
  path: journal.path,
  holder: journal.holder,
  trail: journal.identity?.trail ?? null,
  durability: journal.identity?.durability ?? null,
  last_seq: journal.lastSeq,
  unconfirmed: sizeOf(journal.pending),
  bytes: journal.bytes,
  quarantined_spans: journal.quarantined,
  problem: journal.problem
})

/** Shows the sources in the JSON of `GET /audit/pipeline`. */
export const trailJson = ({ account, directory, journals }: TrailStatus) => ({
  trail: account?.trail ?? null,
  database: account?.address ?? null,
  sources:
    account === null
      ? null
      : account.sources.map(({ balance, gaps, row, standing }) => ({
          ...sourceView(row, standing, balance),
          gaps:
            gaps === null
              ? null
              : {
                  unnamed: gaps.unnamed,
                  named_by_receipts: gaps.named,
                  waiting: gaps.waiting,
                  beyond_balance: gaps.beyond
                }
        })),
  total: account === null ? null : { sources: account.count, ...balanceView(account.total) },
  dead_letters: account?.deadLetters ?? null,
  directory,
  journals: journals.map(journalJson)
})
