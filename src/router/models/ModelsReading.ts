import { isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml"

interface Problem {
  readonly line: number
  readonly column: number
  readonly problem: string
}

/** Characters of a name in the file. */
const maximumNameLength = 120

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const controlCharacter = /[\u0000-\u001f\u007f-\u009f]/

/**
 * Reads the nodes of a YAML file and notes what is wrong with them, each at its place. A node that is wrong reads as empty, so
 * that one run finds all problems.
 */
export interface ModelsReading {
  readonly isYaml: boolean
  readonly contents: unknown
  /** The offset of a node, for `note`. */
  readonly at: (node: unknown) => number
  readonly note: (offset: number, problem: string) => void
  readonly text: (node: unknown, what: string) => string
  readonly list: (node: unknown, what: string) => ReadonlyArray<unknown>
  readonly choice: <const A extends string>(node: unknown, what: string, choices: ReadonlyArray<A>) => A | undefined
  /** The entries of a mapping whose keys are names; none for a node that is not there. */
  readonly named: (
    node: unknown,
    what: string
  ) => ReadonlyArray<{ readonly key: unknown; readonly name: string; readonly node: unknown }>
  /** The values of a mapping whose keys are known. */
  readonly fields: (
    node: unknown,
    what: string,
    keys: { readonly required: ReadonlyArray<string>; readonly optional: ReadonlyArray<string> }
  ) => ReadonlyMap<string, unknown>
  /** In the order of the file. */
  readonly problems: () => ReadonlyArray<Problem>
}

export const makeModelsReading = (source: string): ModelsReading => {
  const counter = new LineCounter()
  const document = parseDocument(source, { lineCounter: counter, uniqueKeys: true })
  const problems: Array<Problem> = []
  const note = (offset: number, problem: string) => {
    const { line, col } = counter.linePos(offset)
    problems.push({ line: Math.max(line, 1), column: Math.max(col, 1), problem })
  }
  const at = (node: unknown): number => {
    const range = typeof node === "object" && node !== null ? Reflect.get(node, "range") : undefined
    return Array.isArray(range) && typeof range[0] === "number" ? range[0] : 0
  }
  const entries = (node: unknown, what: string) => {
    if (isMap(node)) return node.items
    note(at(node), `${what} must be a mapping`)
    return []
  }
  const text = (node: unknown, what: string): string => {
    if (isScalar(node) && typeof node.value === "string" && node.value !== "") {
      if (controlCharacter.test(node.value) || node.value.length > 2_000) note(at(node), `${what} is no usable text`)
      return node.value
    }
    note(at(node), `${what} must be a text that is not empty; quote it where YAML reads a number or a truth value`)
    return ""
  }
  for (const error of document.errors) note(error.pos[0], error.message.split("\n", 1)[0] ?? error.code)

  return {
    isYaml: problems.length === 0,
    contents: document.contents,
    at,
    note,
    text,
    list: (node, what) => {
      if (isSeq(node)) return node.items
      note(at(node), `${what} must be a list`)
      return []
    },
    choice: (node, what, choices) => {
      if (node === undefined) return undefined
      const given = isScalar(node) ? node.value : undefined
      const found = choices.find((one) => one === given)
      if (found === undefined) note(at(node), `${what} must be one of ${choices.join(", ")}`)
      return found
    },
    named: (node, what) =>
      node === undefined
        ? []
        : entries(node, `the ${what}s`).flatMap(({ key, value }) => {
            const name = text(key, `a ${what}'s name`)
            if (name.length > maximumNameLength) {
              note(at(key), `a ${what}'s name has at most ${maximumNameLength} characters`)
            }
            return name === "" ? [] : [{ key, name, node: value }]
          }),
    fields: (node, what, { optional, required }) => {
      const known = [...required, ...optional]
      const found = new Map<string, unknown>()
      for (const { key, value } of entries(node, what)) {
        const field = text(key, `a key of ${what}`)
        if (known.includes(field)) found.set(field, value)
        else if (field !== "") {
          note(at(key), `unknown key ${JSON.stringify(field)} in ${what}; known: ${known.join(", ")}`)
        }
      }
      for (const field of required) if (isMap(node) && !found.has(field)) note(at(node), `${what} lacks "${field}"`)
      return found
    },
    problems: () => problems.toSorted((a, b) => a.line - b.line || a.column - b.column)
  }
}
