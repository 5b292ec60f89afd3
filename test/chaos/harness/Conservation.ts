import * as Arr from "effect/Array"
import type { Exchange } from "./Load.ts"

/** A row of gatekeeper.audit_log, as far as it is compared. */
export interface TrailRow {
  readonly id: string
  readonly requestId: string | null
  readonly result: string
}

/** What became of a load's requests in the trail. */
export interface Comparison {
  /** Answers that named an audit id. */
  readonly answered: number
  /** Of these, in the table. */
  readonly found: number
  /** Of these, not in the table: their audit ids. */
  readonly lost: ReadonlyArray<string>
  /** Requests whose decision is in the table more than once. */
  readonly twice: ReadonlyArray<string>
  /** Requests whose answer and row contradict each other, with the contradiction. */
  readonly contradicted: ReadonlyArray<string>
  /** Rows of requests whose answer was not read, because the connection was cut first. */
  readonly unread: number
  /** Requests that were refused or whose outcome was left open (503). */
  readonly unavailable: number
}

const resultOf: Readonly<Record<number, string>> = {
  200: "ALLOWED",
  401: "UNAUTHENTICATED",
  403: "DENIED",
  413: "INVALID",
  422: "INVALID"
}

/** Events about another event; they name its request, but decide nothing. */
const followUps: ReadonlySet<string> = new Set(["LOST", "WITHDRAWN", "REPLAYED"])

const serviceUnavailable = 503

/** What one answer says against the rows of its request. */
const contradiction = (exchange: Exchange, rows: ReadonlyArray<TrailRow>): string | undefined => {
  const { answer, kind, requestId } = exchange
  if (answer === undefined) return undefined
  const says = `${requestId} (${kind}) was answered ${answer.status}`
  const withdrawn = rows.some(({ result }) => result === "WITHDRAWN")
  const decided = rows.filter(({ result }) => !followUps.has(result))
  if (answer.status === serviceUnavailable) {
    return decided.length > 0 && !withdrawn
      ? `${says}; its decision stands in the trail as if it were given`
      : undefined
  }
  const result = resultOf[answer.status]
  if (result !== kind.toUpperCase()) return `${says}, and is ${kind}`
  if (answer.auditId === undefined) return `${says} without an audit id`
  if (withdrawn) return `${says}; the trail says that it was not`
  const row = rows.find(({ id }) => id === answer.auditId)
  if (row !== undefined && row.result !== result) return `${says}; its row says ${row.result}`
  if (row === undefined && decided.length > 0) return `${says} with ${answer.auditId}; its row has another id`
  return undefined
}

/** Compares what was answered with what is in the table, where everything has been written that ever will be. */
export const compare = (exchanges: ReadonlyArray<Exchange>, rows: ReadonlyArray<TrailRow>): Comparison => {
  const ids = new Set(rows.map(({ id }) => id))
  const byRequest = Arr.groupBy(rows, ({ requestId }) => requestId ?? "")
  const rowsOf = ({ requestId }: Exchange) => byRequest[requestId] ?? []
  const answered = exchanges.flatMap(({ answer }) => answer?.auditId ?? [])
  const lost = answered.filter((id) => !ids.has(id))
  return {
    answered: answered.length,
    found: answered.length - lost.length,
    lost,
    twice: exchanges
      .filter((exchange) => rowsOf(exchange).filter(({ result }) => !followUps.has(result)).length > 1)
      .map(({ requestId }) => requestId),
    contradicted: exchanges.flatMap((exchange) => contradiction(exchange, rowsOf(exchange)) ?? []),
    unread: exchanges.filter((exchange) => exchange.answer === undefined && rowsOf(exchange).length > 0).length,
    unavailable: exchanges.filter(({ answer }) => answer?.status === serviceUnavailable).length
  }
}

/** For a report: how many, and the first few by name. */
export const briefly = ({ contradicted, lost, twice, ...counts }: Comparison) => {
  const brief = (names: ReadonlyArray<string>) => ({ count: names.length, first: names.slice(0, 10) })
  return { ...counts, lost: brief(lost), twice: brief(twice), contradicted: brief(contradicted) }
}
