import * as DateTime from "effect/DateTime"
import { type Cell, renderTable } from "../../platform/cli/Table.ts"
import { visible } from "../../platform/cli/TerminalText.ts"
import { sizeOf } from "../recovery/MissingRanges.ts"
import { type Balance, balanceView, sourceView } from "../sources/Conservation.ts"
import type { Gap } from "../sources/GapSearch.ts"
import type { JournalSummary } from "./JournalSummary.ts"
import type { SourceStatus, TrailAccount, TrailStatus } from "./TrailStatus.ts"

const columns = [
  "offered",
  "committed",
  "pending",
  "dead letters",
  "quarantined",
  "refused",
  "shed",
  "lost",
  "unaccounted"
]

const alert = (count: number, tone: "warn" | "bad"): Cell =>
  count === 0 ? { text: "0" } : { text: String(count), tone }

const figures = (one: Balance): ReadonlyArray<Cell> => [
  { text: String(one.offered) },
  { text: String(one.committed) },
  { text: String(one.pending) },
  alert(one.deadLettered, "warn"),
  alert(one.quarantined, "bad"),
  alert(one.refused, "warn"),
  alert(one.shed, "bad"),
  alert(one.lost, "bad"),
  // A program without these counters wrote for the source, so the difference has no meaning.
  one.counted ? alert(one.unaccounted, "bad") : { text: "?", tone: "quiet" }
]

const started = ({ journal, row }: SourceStatus): string => {
  if (row.startedAt !== null) return DateTime.formatIso(row.startedAt)
  return journal?.identity == null ? "-" : DateTime.formatIso(DateTime.unsafeMake(journal.identity.startedAt))
}

const renderSources = ({ count, sources, total }: TrailAccount, colours: boolean): string => {
  const rows = sources.map((one) => [
    { text: one.row.source },
    { text: one.row.identity === null ? one.standing : `${one.standing}, ${one.row.identity}` },
    { text: started(one) },
    { text: one.row.durability ?? "-" },
    ...figures(one.balance)
  ])
  const sum = [{ text: `all ${count}` }, { text: "" }, { text: "" }, { text: "" }, ...figures(total)]
  return renderTable(
    ["source", "standing", "started at", "mode", ...columns],
    count > 1 ? [...rows, sum] : rows,
    colours
  )
}

const rangeText = ({ from, to }: Gap): string => (from === to ? String(from) : `${from}-${to}`)

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

const trailCell = ({ identity }: JournalSummary, account: TrailAccount | null): Cell => {
  if (identity === null) return { text: "unknown", tone: "bad" }
  if (account === null) return { text: identity.trail }
  return identity.trail === account.trail
    ? { text: "this one" }
    : { text: `another: ${identity.trail}, left alone`, tone: "bad" }
}

const renderJournals = ({ account, directory, journals }: TrailStatus, colours: boolean): string => {
  const shown = visible(directory)
  if (journals.length === 0) return `No journals in ${shown}.`
  const rows = journals.map(
    (one): ReadonlyArray<Cell> => [
      { text: one.source },
      one.holder === null ? { text: "no process", tone: "warn" } : { text: one.holder },
      { text: String(sizeOf(one.pending)) },
      { text: String(one.bytes) },
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
  if (account === null) return `The database is unreachable; only the journals are shown.\n\n${journals}`
  const { deadLetters } = account
  const gaps = renderGaps(account)
  return [
    `Trail ${account.trail} in ${account.address}`,
    account.sources.length === 0 ? "Nothing was recorded yet." : renderSources(account, colours),
    ...(gaps.length === 0 ? [] : [`Numbers without a row or a dead letter:\n${gaps.join("\n")}`]),
    journals,
    `Dead letters: ${deadLetters.waiting} wait, ${deadLetters.total - deadLetters.waiting} are in the trail.`
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
