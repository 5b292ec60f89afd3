import * as Either from "effect/Either"
import {
  Composer,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Pair,
  Parser,
  type YAMLMap
} from "yaml"
import type { FileProblem } from "../../domain/Text.ts"
import type { SteppedComputation } from "../os/EventLoop.ts"

/** The keys and list indices that lead to a place in a document. */
export type YamlPath = ReadonlyArray<PropertyKey>

/** As the last step of a path: the key itself, not its value. */
export const atKey: unique symbol = Symbol("atKey")

/** A document's content, and the places of its parts; lines and columns count from 1. */
export interface YamlDocument {
  /** Scalars, arrays and `YamlMapping`s. */
  readonly content: unknown
  readonly placeOf: (path: YamlPath) => { readonly line: number; readonly column: number }
  /** Keys that are not texts, or are defined twice. */
  readonly problems: ReadonlyArray<FileProblem>
}

/** A mapping of the file. `mapOf` reads its entries in the order of the file, which an object does not keep for keys such as "7". */
export class YamlMapping {
  readonly #entries: ReadonlyMap<string, unknown>
  constructor(entries: ReadonlyMap<string, unknown>) {
    this.#entries = entries
    for (const [key, value] of entries) Object.defineProperty(this, key, { value, enumerable: true })
  }
  static readonly entriesOf = (mapping: YamlMapping): ReadonlyMap<string, unknown> => mapping.#entries
}

/** Writes a path as `groups.scout.permissions[0]`; names with other characters are quoted. */
export const subjectOf = (path: YamlPath): string => {
  const steps = path.filter((step) => step !== atKey)
  if (steps.length === 0) return "the file"
  return steps
    .map((step) => {
      if (typeof step !== "string") return `[${String(step)}]`
      return /^[\w-]+$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`
    })
    .join("")
    .replace(/^\./, "")
}

/** V8's message for a full stack, which the library reports as an error of the text. */
const isTooDeep = /call stack size exceeded/

/** Some milliseconds of work. */
const lexemesInStep = 4_096

/** The library's own `parseDocument` in steps; its composer is one step. */
function* compose(source: string, lineCounter: LineCounter) {
  lineCounter.addNewLine(0)
  const parser = new Parser(lineCounter.addNewLine)
  const tokens = []
  let lexemes = 0
  for (const lexeme of new Lexer().lex(source)) {
    for (const token of parser.next(lexeme)) tokens.push(token)
    lexemes += 1
    if (lexemes % lexemesInStep === 0) yield
  }
  tokens.push(...parser.end())
  yield
  // The library compares each key with all before it, a second for 10 000 keys: `toPlain` finds equal keys.
  return [...new Composer({ lineCounter, uniqueKeys: false }).compose(tokens, true, source.length)]
}

const startOf = (node: unknown): number | undefined => (isNode(node) ? node.range?.[0] : undefined)

/** Finds the offset of a path, or of its longest part that exists. Indexes each mapping once. */
const makeOffsetOf = (root: unknown) => {
  const indexes = new Map<YAMLMap, ReadonlyMap<PropertyKey, Pair>>()
  const pairAt = (map: YAMLMap, key: PropertyKey): Pair | undefined => {
    let index = indexes.get(map)
    if (index === undefined) {
      // Of equal keys the first counts, as in `toPlain`.
      index = new Map(map.items.toReversed().map((pair) => [isScalar(pair.key) ? String(pair.key.value) : "", pair]))
      indexes.set(map, index)
    }
    return index.get(key)
  }
  return (path: YamlPath): number => {
    let node = root
    let offset = startOf(root) ?? 0
    let keyOffset = offset
    for (const step of path) {
      if (step === atKey) return keyOffset
      const pair = isMap(node) ? pairAt(node, step) : undefined
      const item = isSeq(node) && typeof step === "number" ? node.items[step] : undefined
      if (pair === undefined && item === undefined) return offset
      keyOffset = startOf(pair?.key) ?? offset
      node = pair === undefined ? item : pair.value
      offset = startOf(node) ?? keyOffset
    }
    return offset
  }
}

interface Notes {
  /** Called for keys that an object could not have, or would have once. */
  readonly key: (path: YamlPath, key: unknown, problem: string) => void
  readonly alias: (path: YamlPath, node: unknown, name: string) => void
}

/** Converts a node. */
const toPlain = (node: unknown, path: YamlPath, notes: Notes): unknown => {
  if (isScalar(node)) return node.value
  if (isSeq(node)) return node.items.map((item, i) => toPlain(item, [...path, i], notes))
  if (isAlias(node)) notes.alias(path, node, node.source)
  if (!isMap(node)) return undefined
  const entries = new Map<string, unknown>()
  for (const { key, value } of node.items) {
    const name = isScalar(key) ? key.value : undefined
    if (typeof name !== "string" || name === "") {
      notes.key(path, key, "has a key that is not a text; quote it where YAML reads a number or a truth value")
    } else if (entries.has(name)) notes.key([...path, name], key, "is defined twice")
    else entries.set(name, toPlain(value, [...path, name], notes))
  }
  return new YamlMapping(entries)
}

export const inOrder = (problems: ReadonlyArray<FileProblem>): ReadonlyArray<FileProblem> =>
  problems.toSorted((a, b) => a.line - b.line || a.column - b.column)

/** Reads a YAML text in steps: a large file takes tenths of a second. Fails with the problems of the YAML itself. */
export function* readDocument(
  source: string
): SteppedComputation<Either.Either<YamlDocument, ReadonlyArray<FileProblem>>> {
  const counter = new LineCounter()
  const [document, another] = yield* compose(source, counter)
  const placeAt = (offset: number) => {
    const { col, line } = counter.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  // The library reads a value with an unknown tag, or after an unknown directive, as if that were not there, and warns.
  const errors = [...(document?.errors ?? []), ...(document?.warnings ?? [])].map(
    ({ code, message, pos }): FileProblem => {
      const [line = code] = message.split("\n", 1)
      const tag = code === "TAG_RESOLVE_FAILED" ? /^Unresolved tag: (\S+)/.exec(line)?.[1] : undefined
      const problem = isTooDeep.test(message)
        ? "it is nested too deeply"
        : tag === undefined
          ? line
          : `the tag ${tag} has no meaning here: write the value without it`
      return { ...placeAt(pos[0]), problem }
    }
  )
  if (another !== undefined) {
    errors.push({ ...placeAt(another.range[0]), problem: "there must be one document only" })
  }
  if (errors.length > 0) return Either.left(inOrder(errors))
  yield
  const offsetOf = makeOffsetOf(document?.contents)
  const problems: Array<FileProblem> = []
  const aliases: Array<FileProblem> = []
  const add = (list: Array<FileProblem>, path: YamlPath, node: unknown, problem: string) =>
    void list.push({ ...placeAt(startOf(node) ?? offsetOf(path)), problem: `${subjectOf(path)} ${problem}` })
  const content = toPlain(document?.contents ?? undefined, [], {
    key: (path, key, problem) => add(problems, path, key, problem),
    alias: (path, node, name) =>
      add(aliases, path, node, `is the alias *${name}, and aliases are not expanded: write the value itself here`)
  })
  if (aliases.length > 0) return Either.left(inOrder(aliases))
  return Either.right({ content, placeOf: (path) => placeAt(offsetOf(path)), problems })
}
