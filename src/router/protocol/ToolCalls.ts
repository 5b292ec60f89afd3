import * as Predicate from "effect/Predicate"
import { memberOf } from "../../domain/Text.ts"

/*
 * Providers differ in how they send the calls of tools: without `index`, with 0 for all, from 1 on, without or with an empty `id`, with
 * the name in each piece, with arguments that are an object. Clients put calls together by what they find there, so each call gets
 * OpenAI's form here: an index that counts from 0, an id, the type, the name once, and the arguments as text.
 */

type Fields = Record<PropertyKey, unknown>

/** Calls of a streamed choice; OpenAI's limit of tools. All of them are remembered until the stream ends. */
const maximumCalls = 128

/** Characters of an id or a name. Some gateways put a signature of several thousand characters into the id. */
const maximumLabel = 16_384

const textOf = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined)

/** The index as the provider gave it; some give it as text. */
const givenIndex = (value: unknown): number | undefined => {
  const index = typeof value === "string" && value !== "" ? Number(value) : value
  return typeof index === "number" && Number.isInteger(index) ? index : undefined
}

const argumentsOf = (value: unknown, missing: string): string =>
  typeof value === "string" ? value : value === null || value === undefined ? missing : JSON.stringify(value)

/** Whether the pieces of a JSON object's text, added one after the other, are whole: all its brackets are closed. */
const makeBrackets = () => {
  let depth = 0
  let isClosed = false
  let isInString = false
  let isEscaped = false
  return {
    add: (piece: string): void => {
      for (const character of piece) {
        if (isInString) {
          if (isEscaped) isEscaped = false
          else if (character === "\\") isEscaped = true
          else if (character === '"') isInString = false
        } else if (character === '"') isInString = true
        else if (character === "{" || character === "[") depth += 1
        else if (character === "}" || character === "]") {
          depth -= 1
          isClosed ||= depth === 0
        }
      }
    },
    isClosed: (): boolean => isClosed
  }
}

interface OpenCall {
  readonly index: number
  name: string | undefined
  /** The id that the provider gave it. */
  readonly givenId: string | undefined
  readonly brackets: ReturnType<typeof makeBrackets>
}

const isLong = (label: string | undefined): boolean => label !== undefined && label.length > maximumLabel

/** A piece of a call as the provider sent it. */
interface CallPiece {
  readonly id: string | undefined
  readonly index: number | undefined
  readonly name: string | undefined
  readonly arguments: string
}

const pieceOf = (call: Fields): CallPiece => ({
  id: textOf(call["id"]),
  index: givenIndex(call["index"]),
  name: textOf(memberOf(call["function"], "name")) ?? textOf(memberOf(call["custom"], "name")),
  arguments: argumentsOf(memberOf(call["function"], "arguments"), "")
})

/** Whether a piece without a known id goes on with a call. */
const continues = ({ arguments: given, id, index, name }: CallPiece, call: OpenCall): boolean => {
  // Some servers make a new id for each piece of a call.
  if (name === undefined) return id === undefined || index !== undefined
  if (call.name === undefined) return id === undefined
  if (name !== call.name || (id !== undefined && call.givenId !== undefined)) return false
  return given === "" || !call.brackets.isClosed()
}

/** Whether a piece is another call under a call's id: some servers give one id to all. */
const isOther = ({ arguments: given, name }: CallPiece, { brackets }: OpenCall): boolean =>
  name !== undefined && given !== "" && brackets.isClosed()

/** Brings the pieces of a streamed choice's calls into OpenAI's form. */
export const makeToolCallPieces = (newId: () => string) => {
  const calls: Array<OpenCall> = []
  const byId = new Map<string, OpenCall>()
  /** The latest call under each index that the provider gave. */
  const byIndex = new Map<number, OpenCall>()
  let isTooLarge = false

  const setIndex = ({ index }: CallPiece, call: OpenCall): void => {
    if (index !== undefined && (byIndex.size < maximumCalls || byIndex.has(index))) byIndex.set(index, call)
  }

  const callOf = (piece: CallPiece): OpenCall | undefined => {
    const indexed = piece.index === undefined ? undefined : byIndex.get(piece.index)
    if (piece.id !== undefined) {
      const known = indexed?.givenId === piece.id ? indexed : byId.get(piece.id)
      if (known !== undefined) return isOther(piece, known) ? undefined : known
    }
    const isBare = piece.id === undefined && piece.name === undefined
    const latest = calls.at(-1)
    const candidate = piece.index === undefined ? latest : (indexed ?? (isBare ? latest : undefined))
    return candidate !== undefined && continues(piece, candidate) ? candidate : undefined
  }

  const begin = (call: Fields, piece: CallPiece): Fields => {
    const { name } = piece
    // Two results under one id could not be told apart.
    const id = piece.id === undefined || byId.has(piece.id) ? newId() : piece.id
    const opened = { index: calls.length, name, givenId: piece.id, brackets: makeBrackets() }
    opened.brackets.add(piece.arguments)
    calls.push(opened)
    if (piece.id !== undefined) byId.set(piece.id, opened)
    setIndex(piece, opened)
    const hasFunction = call["custom"] === undefined
    const called = { ...Object(call["function"]), name: name ?? "", arguments: piece.arguments }
    return {
      ...call,
      index: opened.index,
      id,
      type: textOf(call["type"]) ?? "function",
      ...(hasFunction ? { function: called } : {})
    }
  }

  const goOn = (open: OpenCall, { id: _, type: __, ...call }: Fields, piece: CallPiece): Fields => {
    open.brackets.add(piece.arguments)
    setIndex(piece, open)
    const isNamed = open.name !== undefined
    open.name ??= piece.name
    const name = isNamed || piece.name === undefined ? {} : { name: piece.name }
    const { name: ___, ...called }: Fields = Object(call["function"])
    const hasFunction = call["function"] !== undefined
    return {
      ...call,
      index: open.index,
      ...(hasFunction ? { function: { ...called, ...name, arguments: piece.arguments } } : {})
    }
  }

  return {
    hasCalls: (): boolean => calls.length > 0,
    /** Whether a piece began a call beyond the limit, or has an id or a name that is too long. */
    isTooLarge: (): boolean => isTooLarge,
    /** Returns what is not an object as it is. */
    normalize: (call: unknown): unknown => {
      if (!Predicate.isRecord(call)) return call
      const piece = pieceOf(call)
      const open = callOf(piece)
      isTooLarge ||= (open === undefined && calls.length >= maximumCalls) || isLong(piece.id) || isLong(piece.name)
      if (isTooLarge) return call
      return open === undefined ? begin(call, piece) : goOn(open, call, piece)
    }
  }
}

/** Brings the calls of a whole message into OpenAI's form, in place. Returns whether it changed any. */
export const normalizeToolCalls = (calls: ReadonlyArray<unknown>, newId: () => string): boolean => {
  const ids = new Set<string>()
  let isChanged = false
  const set = (fields: Fields, name: string, value: unknown) => {
    if (fields[name] === value) return
    fields[name] = value
    isChanged = true
  }
  for (const call of calls) {
    if (!Predicate.isRecord(call)) continue
    const given = textOf(call["id"])
    // Two results under one id could not be told apart.
    const id = given === undefined || ids.has(given) ? newId() : given
    ids.add(id)
    set(call, "id", id)
    set(call, "type", textOf(call["type"]) ?? "function")
    const called = call["function"]
    if (Predicate.isRecord(called)) set(called, "arguments", argumentsOf(called["arguments"], "{}"))
  }
  return isChanged
}
