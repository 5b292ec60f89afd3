import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { type EventQuery, maximumPageSize, readCursor } from "../../audit/AuditReader.ts"
import { AuditResult } from "../../domain/AuditEvent.ts"

const defaultPageSize = 100

const known = ["ghost_id", "action", "resource", "result", "request_id", "from", "to", "limit", "cursor"]

/** RFC 3339. A time without a zone means another moment on each machine, so it is refused. */
const rfc3339 = /^(\d{4}-\d{2}-\d{2})T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2})$/i

/** Of the text's own calendar day: JavaScript takes 30 February for 2 March. */
const isDay = (day: string): boolean => {
  const midnight = DateTime.make(`${day}T00:00:00Z`)
  return Option.isSome(midnight) && DateTime.formatIsoDateUtc(midnight.value) === day
}

/** A moment with its zone. */
export const readTime = (text: string): Option.Option<DateTime.Utc> => {
  const day = rfc3339.exec(text)?.[1]
  return day === undefined || !isDay(day) ? Option.none() : Option.map(DateTime.make(text), DateTime.toUtc)
}

/**
 * Reads the query of `GET /audit/events`.
 *
 * Unknown and repeated parameters are refused: a misspelt filter would answer with rows that nobody asked for, and say
 * nothing.
 */
export const parseEventsQuery = (params: URLSearchParams): Either.Either<EventQuery, string> => {
  const problems: Array<string> = []
  for (const name of new Set(params.keys())) {
    if (!known.includes(name))
      problems.push(`unknown parameter ${JSON.stringify(name.slice(0, 50))}; known: ${known.join(", ")}`)
    else if (params.getAll(name).length > 1) problems.push(`"${name}" is given more than once`)
  }
  const given = (name: string): string | undefined => params.get(name) ?? undefined
  const time = (name: "from" | "to"): DateTime.Utc | undefined => {
    const text = given(name)
    if (text === undefined) return undefined
    const parsed = readTime(text)
    if (Option.isSome(parsed)) return parsed.value
    problems.push(`"${name}" must be an ISO 8601 time with a zone, such as 2026-01-31T12:00:00Z`)
    return undefined
  }
  const limitText = given("limit")
  const limit = limitText === undefined ? defaultPageSize : /^\d{1,6}$/.test(limitText) ? Number(limitText) : Number.NaN
  if (!(limit >= 1 && limit <= maximumPageSize))
    problems.push(`"limit" must be an integer from 1 to ${maximumPageSize}`)
  const result = given("result")
  if (result !== undefined && !AuditResult.literals.some((one) => one === result)) {
    problems.push(`"result" must be one of ${AuditResult.literals.join(", ")}`)
  }
  const cursor = given("cursor")
  if (cursor !== undefined) {
    const read = readCursor(cursor)
    if (Either.isLeft(read)) problems.push(read.left.message)
  }
  const query: EventQuery = {
    ghostId: given("ghost_id"),
    action: given("action"),
    resource: given("resource"),
    result,
    requestId: given("request_id"),
    from: time("from"),
    to: time("to"),
    limit,
    cursor
  }
  return problems.length > 0 ? Either.left(problems.join("; ")) : Either.right(query)
}
