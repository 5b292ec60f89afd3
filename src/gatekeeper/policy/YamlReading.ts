import { Composer, isMap, isScalar, isSeq, Lexer, LineCounter, type Pair, Parser } from "yaml"
import type { FileProblem } from "../../domain/FileProblem.ts"
import { atOnce, type Steps } from "../../platform/os/EventLoop.ts"

/** Reads a YAML text piece by piece, and keeps what is wrong with it. Each reader answers something empty where it noted a problem. */
export interface YamlReading {
  /** The top of the document; undefined when the text is not YAML, which is noted. */
  readonly root: unknown
  readonly note: (node: unknown, problem: string) => void
  readonly entries: (node: unknown, what: string) => ReadonlyArray<Pair>
  readonly list: (node: unknown, what: string) => ReadonlyArray<unknown>
  /** A text that is not empty. */
  readonly name: (node: unknown, what: string) => string
  /** The values of a mapping's keys. A key that is not known is a problem: a misspelt one would silently drop what it says. */
  readonly fields: (
    node: unknown,
    what: string,
    required: ReadonlyArray<string>,
    optional?: ReadonlyArray<string>
  ) => ReadonlyMap<string, unknown>
  /** Where a node stands; counted from 1. */
  readonly placeOf: (node: unknown) => { readonly line: number; readonly column: number }
  /** What was noted, in the order of the text. */
  readonly problems: () => ReadonlyArray<FileProblem>
}

const rangeOf = (node: unknown): number => {
  const range: unknown = typeof node === "object" && node !== null ? Reflect.get(node, "range") : undefined
  const start: unknown = Array.isArray(range) ? range[0] : undefined
  return typeof start === "number" ? start : 0
}

/** V8's words for a stack that the library's recursion has used up, which it reports as any error of the text. */
const isTooDeep = /call stack size exceeded/

/** Some milliseconds of work. */
const lexemesInStep = 4_096

/** The library's own `parseDocument`, in steps. It composes in one: half as long as the rest. */
function* composed(text: string, lineCounter: LineCounter) {
  lineCounter.addNewLine(0)
  const parser = new Parser(lineCounter.addNewLine)
  const tokens = []
  let lexemes = 0
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) tokens.push(token)
    lexemes += 1
    if (lexemes % lexemesInStep === 0) yield
  }
  tokens.push(...parser.end())
  yield
  // The library compares each key with all before it: a second for 10 000. `entries` asks a set.
  return [...new Composer({ lineCounter, uniqueKeys: false }).compose(tokens, true, text.length)]
}

export const readYaml = (text: string): YamlReading => atOnce(readingYaml(text))

/** `readYaml` in steps, so that a large file holds nobody up. */
export function* readingYaml(text: string): Steps<YamlReading> {
  const counter = new LineCounter()
  const [document, another] = yield* composed(text, counter)
  const found: Array<FileProblem> = []

  const placeAt = (offset: number) => {
    const { line, col } = counter.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const placeOf = (node: unknown) => placeAt(rangeOf(node))
  const note = (node: unknown, problem: string): void => {
    found.push({ ...placeOf(node), problem })
  }
  for (const { code, message, pos } of document?.errors ?? []) {
    const problem = isTooDeep.test(message) ? "it is nested too deeply" : (message.split("\n", 1)[0] ?? code)
    found.push({ ...placeAt(pos[0]), problem })
  }
  if (another !== undefined) found.push({ ...placeAt(another.range[0]), problem: "there must be one document only" })
  const entries = (node: unknown, what: string): ReadonlyArray<Pair> => {
    if (!isMap(node)) {
      note(node, `${what} must be a mapping`)
      return []
    }
    const keys = new Set<unknown>()
    for (const { key } of node.items) {
      const value = isScalar(key) ? key.value : key
      if (keys.has(value)) note(key, `Map keys must be unique: ${JSON.stringify(value)} stands twice in ${what}`)
      keys.add(value)
    }
    return node.items
  }
  const name = (node: unknown, what: string): string => {
    if (isScalar(node) && typeof node.value === "string" && node.value !== "") return node.value
    note(node, `${what} must be a text that is not empty`)
    return ""
  }
  return {
    root: found.length > 0 ? undefined : document?.contents,
    note,
    entries,
    name,
    placeOf,
    list: (node, what) => {
      if (isSeq(node)) return node.items
      note(node, `${what} must be a list`)
      return []
    },
    fields: (node, what, required, optional = []) => {
      const known = [...required, ...optional]
      const values = new Map<string, unknown>()
      for (const { key, value } of entries(node, what)) {
        const field = name(key, `a key of ${what}`)
        if (known.includes(field)) values.set(field, value)
        else if (field !== "") note(key, `unknown key ${JSON.stringify(field)} in ${what}; known: ${known.join(", ")}`)
      }
      for (const field of required) if (isMap(node) && !values.has(field)) note(node, `${what} lacks "${field}"`)
      return values
    },
    problems: () => found.toSorted((a, b) => a.line - b.line || a.column - b.column)
  }
}
