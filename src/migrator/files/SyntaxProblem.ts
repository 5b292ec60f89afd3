import { serviceNames } from "../../domain/Service.ts"
import { blanked, quotedParts } from "./QuotedText.ts"

/** A problem in a text and its place, a UTF-16 offset. */
export interface LocatedProblem {
  readonly offset: number
  readonly problem: string
}

/** What to do with the data of a COPY: a revision has no client that could stream them. */
export const copyFromStdin =
  "copy … from stdin reads rows from a client, and a revision has none: write them as INSERT (pg_dump --inserts or " +
  "--rows-per-insert=1000), or load them in a data revision (NNNN_slug.ts)"

export const textsUnescaped =
  "standard_conforming_strings = off is not supported: texts are read with it on; remove this, and write E'…' where a text " +
  "has backslashes"

export const encodingFixed = "a revision is UTF-8 and is sent as UTF-8: remove this change of client_encoding"

/** The migrator creates the schema of each service before its first revision. */
export const isOwnSchema = (name: unknown): boolean => serviceNames.some((service) => service === name)

export const schemaExists = (name: string): string =>
  `the migrator creates the schema ${name} before the first revision: remove this statement, or write create schema if not exists`

const include = "put the statements of that file here"
const noClient = "remove the line"

/** What to do instead of a command of psql; others are removed. */
const insteadOf: Readonly<Record<string, string>> = {
  i: include,
  ir: include,
  include,
  include_relative: include,
  copy: copyFromStdin,
  connect: "a revision runs in the database of its service; remove the line",
  c: "a revision runs in the database of its service; remove the line",
  g: "end the statement with a semicolon",
  gexec: "use a do block with execute",
  gset: "a revision has no variables; write the value",
  set: "a revision has no variables; write the value",
  ".": copyFromStdin
}

const psqlCommand = (command: string): string => {
  const [, name = ""] = /^\\([a-z_]+|\S?)/i.exec(command) ?? []
  return `\\${name} is a command of psql, not SQL: ${insteadOf[name] ?? noClient}`
}

/** Characters that look like a blank or a quote and are part of a name for PostgreSQL. */
const lookalike = /[\u00a0\u1680\u2000-\u200f\u2018-\u201f\u2028-\u202f\u205f-\u2064\u3000\ufeff]/

const dumped = (text: string): string =>
  /^-- PostgreSQL database (cluster )?dump/m.test(text)
    ? "; the text is a dump of pg_dump: make it with pg_dump --schema=<service> --no-owner --inserts, and remove the lines " +
      "that begin with a backslash and create schema"
    : ""

const firstMatch = (code: string, pattern: RegExp): number => pattern.exec(code)?.index ?? -1

const offValue = /^(?:'\s*)?(?:off|of|false|f|fals|fal|fa|no|n|0)\b/i

/** Where code turns `standard_conforming_strings` off, or -1. `code` is `text` without its quoted parts. */
const unescapedAt = (text: string, code: string): number => {
  const setting = /\bset\s+(?:session\s+|local\s+)?standard_conforming_strings\s*(?:=|to)\s*/gi
  for (const found of code.matchAll(setting)) {
    const name = /standard_conforming_strings\s*(?:=|to)\s*/i.exec(text.slice(found.index))
    if (name !== null && offValue.test(text.slice(found.index + name.index + name[0].length))) return found.index
  }
  return -1
}

/** Finds what a text written for psql, or with escaped texts, has and a revision cannot have: the first of these, or null. */
export const foreignText = (text: string): LocatedProblem | null => {
  const parts = quotedParts(text)
  const code = blanked(text, parts)
  const command = parts.find(({ kind }) => kind === "command")
  const found = [
    { offset: unescapedAt(text, code), problem: textsUnescaped },
    { offset: firstMatch(code, /\bcopy\b[^;]*?\bfrom\s+stdin\b/i), problem: copyFromStdin },
    { offset: command?.start ?? -1, problem: psqlCommand(text.slice(command?.start ?? 0, command?.end ?? 0)) }
  ].filter(({ offset }) => offset !== -1)
  const [first] = found.sort((a, b) => a.offset - b.offset)
  return first === undefined ? null : { offset: first.offset, problem: `${first.problem}${dumped(text)}` }
}

/** Says of a syntax error what caused it, where that is known: something before it that PostgreSQL does not read. */
export const explainSyntaxError = (text: string, { offset, problem }: LocatedProblem): LocatedProblem => {
  const foreign = foreignText(text)
  if (foreign !== null && foreign.offset <= offset) return foreign
  const [near = ""] = /^[^ \t\r\n;,()]*/.exec(text.slice(offset)) ?? []
  const [strange] = lookalike.exec(near) ?? []
  const code = strange?.codePointAt(0)?.toString(16).toUpperCase().padStart(4, "0")
  return strange === undefined
    ? { offset, problem }
    : { offset, problem: `${problem}; U+${code} is not a blank or a quote` }
}
