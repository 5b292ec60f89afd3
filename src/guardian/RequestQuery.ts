import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import { nameProblem } from "./Names.ts"

/** What a list is asked for. */
export interface ListQuery {
  readonly agent: string | undefined
  readonly active: boolean | undefined
  readonly limit: number
  /** What the cursor stands for. */
  readonly after: string | undefined
}

export interface QueryShape {
  readonly known: ReadonlyArray<"agent" | "active" | "limit" | "cursor">
  readonly standardLimit: number
  /** What a cursor of this list stands for. */
  readonly cursor: RegExp
}

const maximumLimit = 1_000

/** A query of nothing but mistakes would be answered, and recorded, many times as long as it is. */
const maximumTold = 3

/** A row's number. */
export const rowNumber = /^\d{1,18}$/

export const cursorOf = (place: string): string => Encoding.encodeBase64Url(place)

/** The part of a URL after its "?". */
export const searchOf = (url: string): string => {
  const mark = url.indexOf("?")
  return mark === -1 ? "" : url.slice(mark + 1)
}

/**
 * Reads the query of a list. Unknown and repeated parameters are refused: a misspelt filter would answer with rows that
 * nobody asked for, and say nothing.
 */
export const parseListQuery = (search: string, shape: QueryShape): Either.Either<ListQuery, string> => {
  const params = new URLSearchParams(search)
  const problems: Array<string> = []
  const known: ReadonlyArray<string> = shape.known
  for (const name of new Set(params.keys())) {
    if (!known.includes(name)) {
      problems.push(`unknown parameter ${JSON.stringify(name.slice(0, 50))}; known: ${known.join(", ")}`)
    } else if (params.getAll(name).length > 1) problems.push(`"${name}" is given more than once`)
  }
  const given = (name: string): string | undefined => params.get(name) ?? undefined
  const agent = given("agent")
  const agentProblem = agent === undefined ? undefined : nameProblem("agent", agent)
  if (agentProblem !== undefined) problems.push(agentProblem)
  const active = given("active")
  if (active !== undefined && active !== "true" && active !== "false") problems.push('"active" must be true or false')
  const limitText = given("limit")
  const limit =
    limitText === undefined ? shape.standardLimit : /^\d{1,6}$/.test(limitText) ? Number(limitText) : Number.NaN
  if (!(limit >= 1 && limit <= maximumLimit)) problems.push(`"limit" must be an integer from 1 to ${maximumLimit}`)
  const cursor = given("cursor")
  const after = cursor === undefined ? undefined : Either.getOrUndefined(Encoding.decodeBase64UrlString(cursor))
  if (cursor !== undefined && (after === undefined || !shape.cursor.test(after))) {
    problems.push('"cursor" is not one that this list gave; ask again without it for the first page')
  }
  return problems.length > 0
    ? Either.left(
        problems.length > maximumTold
          ? `${problems.slice(0, maximumTold).join("; ")}; and ${problems.length - maximumTold} more`
          : problems.join("; ")
      )
    : Either.right({ agent, active: active === undefined ? undefined : active === "true", limit, after })
}
