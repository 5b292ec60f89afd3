import * as Effect from "effect/Effect"

/** A statement as PostgreSQL's parser reads it: the name of its node, such as `DropStmt`, and the node. */
export interface ParseTree {
  readonly kind: string
  readonly node: object
}

/** A name as written in a statement. */
export interface QualifiedName {
  readonly schema: string | null
  readonly name: string
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

/** Returns a field of a node; the parser leaves out fields that are zero, false or empty. */
export const child = (node: unknown, ...path: ReadonlyArray<string>): unknown =>
  path.reduce<unknown>((at, key) => (isObject(at) ? Reflect.get(at, key) : undefined), node)

export const textOf = (node: unknown, ...path: ReadonlyArray<string>): string | null => {
  const value = child(node, ...path)
  return typeof value === "string" ? value : null
}

export const listOf = (node: unknown, ...path: ReadonlyArray<string>): ReadonlyArray<unknown> => {
  const value = child(node, ...path)
  return Array.isArray(value) ? value : []
}

/** The name in a RangeVar node. */
export const relationOf = (range: unknown): QualifiedName => ({
  schema: textOf(range, "schemaname"),
  name: textOf(range, "relname") ?? ""
})

/** The name in a list of String nodes: the last is the name, the one before it the schema. */
export const nameOf = (strings: ReadonlyArray<unknown>): QualifiedName => {
  const parts = strings.map((part) => textOf(part, "String", "sval") ?? "")
  return { schema: parts.at(-2) ?? null, name: parts.at(-1) ?? "" }
}

export const shownName = ({ name, schema }: QualifiedName): string => (schema === null ? name : `${schema}.${name}`)

const quoted = (identifier: string): string => `"${identifier.replaceAll('"', '""')}"`

/** Quotes a name for SQL text. */
export const quotedName = ({ name, schema }: QualifiedName): string =>
  schema === null ? quoted(name) : `${quoted(schema)}.${quoted(name)}`

/** Collects this node and every node below it. */
export const nodesIn = (tree: unknown): ReadonlyArray<ParseTree> =>
  Array.isArray(tree)
    ? tree.flatMap(nodesIn)
    : isObject(tree)
      ? Object.entries(tree).flatMap(([key, value]) => [
          ...(/^[A-Z]/.test(key) && isObject(value) ? [{ kind: key, node: value }] : []),
          ...nodesIn(value)
        ])
      : []

/** Parses one statement of `splitStatements`. Text that cannot be parsed has the kind `unreadable`. */
export const readTree = (statement: string): Effect.Effect<ParseTree> =>
  Effect.promise(async () => {
    const { parse } = await import("libpg-query")
    const tree = await parse(statement).catch(() => undefined)
    const [kind, node] = Object.entries(tree?.stmts?.[0]?.stmt ?? {})[0] ?? []
    return kind !== undefined && isObject(node) ? { kind, node } : { kind: "unreadable", node: {} }
  })
