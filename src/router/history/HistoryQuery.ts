import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import { historyResource, maximumResourceLength } from "../models/ShellResource.ts"
import { type HistoryQuery, maximumPageSize } from "./History.ts"

const defaultPageSize = 100

const known = ["ghost", "limit", "cursor"]

/** PostgreSQL's bigint, as text. */
const isRowId = (text: string): boolean => /^[1-9]\d{0,17}$/.test(text)

/** A row's id as something that asks nobody to look inside. */
export const cursorOf = (id: string): string => Encoding.encodeBase64Url(id)

const readCursor = (cursor: string): string | undefined => {
  const id = Either.getOrUndefined(Encoding.decodeBase64UrlString(cursor))
  return id !== undefined && isRowId(id) ? id : undefined
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const controlCharacter = /[\u0000-\u001f\u007f-\u009f]/

/**
 * Reads the query of `GET /v1/history`. Unknown and repeated parameters are refused: a misspelt filter would answer with rows that
 * nobody asked for, and say nothing.
 */
export const parseHistoryQuery = (
  params: URLSearchParams
): Either.Either<HistoryQuery, { readonly param: string; readonly reason: string }> => {
  const refuse = (param: string, reason: string) => Either.left({ param, reason })
  for (const name of new Set(params.keys())) {
    const shown = name.slice(0, 50).toWellFormed()
    if (!known.includes(name)) {
      return refuse(shown, `unknown parameter ${JSON.stringify(shown)}; known: ${known.join(", ")}`)
    }
    if (params.getAll(name).length > 1) return refuse(name, `"${name}" is given more than once`)
  }
  const ghost = params.get("ghost") ?? ""
  if (ghost === "") return refuse("ghost", '"ghost" is missing: whose messages?')
  if (controlCharacter.test(ghost) || historyResource(ghost).length > maximumResourceLength) {
    return refuse("ghost", '"ghost" is no name of a ghost')
  }
  const text = params.get("limit") ?? String(defaultPageSize)
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN
  if (!(limit >= 1 && limit <= maximumPageSize)) {
    return refuse("limit", `"limit" must be an integer from 1 to ${maximumPageSize}`)
  }
  const cursor = params.get("cursor")
  if (cursor === null) return Either.right({ ghost, limit, before: undefined })
  const before = readCursor(cursor)
  return before === undefined
    ? refuse("cursor", "the cursor is not one that this history gave. Ask again without it for the first page")
    : Either.right({ ghost, limit, before })
}
