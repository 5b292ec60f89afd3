/** A part of an SQL text that is not code. Offsets are UTF-16 units; `end` is exclusive. */
export interface QuotedPart {
  /** `name`: a quoted identifier. `rows`: the data of a COPY, up to its line `\.`. `command`: what psql itself would run. */
  readonly kind: "comment" | "literal" | "name" | "rows" | "command"
  readonly start: number
  readonly end: number
  /** False if the text ends first. */
  readonly isClosed: boolean
}

const letters = "A-Za-z_\\u0080-\\uffff"

/** What can begin a quoted part, and what the search for the data of a COPY needs: words and semicolons. */
const token = new RegExp(
  `--[^\\n]*|/\\*|[eE]'|'|"|\\$(?:[${letters}][${letters}0-9]*)?\\$|\\\\[^\\n]*|;|[${letters}][${letters}0-9$]*`,
  "g"
)

/** Finds the end of a part by the delimiters in it: `step` receives each and returns true at the end. */
const endBy = (
  text: string,
  from: number,
  delimiters: RegExp,
  step: (found: string) => boolean
): number | undefined => {
  delimiters.lastIndex = from
  for (let found = delimiters.exec(text); found !== null; found = delimiters.exec(text)) {
    if (step(found[0])) return delimiters.lastIndex
  }
  return undefined
}

/** The end of a comment, which may hold others. */
const endOfComment = (text: string, from: number): number | undefined => {
  let depth = 1
  return endBy(text, from, /\/\*|\*\//g, (found) => {
    depth += found === "/*" ? 1 : -1
    return depth === 0
  })
}

const endOfQuoted = (text: string, from: number, quote: "'" | '"'): number | undefined =>
  endBy(text, from, quote === "'" ? /''|'/g : /""|"/g, (found) => found === quote)

/** The end of `E'…'`. A literal that goes on after a line end keeps its backslashes. */
const endOfEscaped = (text: string, from: number): number | undefined => {
  const continued = /[^\S\n]*(?:--[^\n]*)?\n(?:\s|--[^\n]*\n)*'/y
  let at: number | undefined = from
  while (at !== undefined) {
    const end = endBy(text, at, /\\[\s\S]|''|'/g, (found) => found === "'")
    if (end === undefined) return undefined
    continued.lastIndex = end
    if (!continued.test(text)) return end
    at = continued.lastIndex
  }
  return undefined
}

const endOfText = (text: string, from: number, closing: string): number | undefined => {
  const at = text.indexOf(closing, from)
  return at === -1 ? undefined : at + closing.length
}

/** The kind of the part that `opening` begins, and its end; undefined for a word or a semicolon. */
const partAt = (text: string, opening: string, from: number) => {
  switch (opening[0]) {
    case "-":
      return { kind: "comment", end: from } as const
    case "\\":
      return { kind: "command", end: from } as const
    case "/":
      return { kind: "comment", end: endOfComment(text, from) } as const
    case "$":
      return { kind: "literal", end: endOfText(text, from, opening) } as const
    case '"':
      return { kind: "name", end: endOfQuoted(text, from, '"') } as const
    case "'":
      return { kind: "literal", end: endOfQuoted(text, from, "'") } as const
    default:
      return opening.endsWith("'") ? ({ kind: "literal", end: endOfEscaped(text, from) } as const) : undefined
  }
}

/**
 * Finds the quoted parts of an SQL text by the rules of PostgreSQL's scanner (scan.l) with `standard_conforming_strings = on`, in
 * order. Takes time in proportion to the text, and needs no parser: a start reads its files without one.
 */
export const quotedParts = (text: string): ReadonlyArray<QuotedPart> => {
  const parts: Array<QuotedPart> = []
  /** The first word of the statement, and the last one, in lower case. */
  let [first, last] = ["", ""]
  let isCopyIn = false
  let hasRows = true
  token.lastIndex = 0
  for (let found = token.exec(text); found !== null; found = token.exec(text)) {
    const [opening] = found
    const part = partAt(text, opening, token.lastIndex)
    if (part !== undefined) {
      const { end = text.length, kind } = part
      parts.push({ kind, start: found.index, end, isClosed: part.end !== undefined })
      token.lastIndex = end
    } else if (opening === ";") {
      const begin = text.indexOf("\n", token.lastIndex)
      const end = isCopyIn && hasRows && begin !== -1 ? /^\\\.[^\S\n]*$/m.exec(text.slice(begin)) : null
      // Searched once where there is none, so that the time stays in proportion.
      if (isCopyIn && end === null) hasRows = false
      if (end !== null) {
        token.lastIndex = begin + end.index + end[0].length
        parts.push({ kind: "rows", start: begin + 1, end: token.lastIndex, isClosed: true })
      }
      first = last = ""
      isCopyIn = false
    } else {
      const word = opening.toLowerCase()
      if (first === "") first = word
      if (first === "copy" && last === "from" && word === "stdin") isCopyIn = true
      last = word
    }
  }
  return parts
}

const blanks = (text: string): string =>
  text
    .split("\n")
    .map(({ length }) => " ".repeat(length))
    .join("\n")

/** Replaces parts by blanks, so that offsets and lines stay the same. Parts that the text cuts off stay. */
export const blanked = (text: string, parts: ReadonlyArray<QuotedPart>): string => {
  const closed = parts.filter(({ isClosed }) => isClosed)
  const ends = [0, ...closed.map(({ end }) => end)]
  return ends
    .map((from, index) => {
      const part = closed[index]
      return part === undefined
        ? text.slice(from)
        : text.slice(from, part.start) + blanks(text.slice(part.start, part.end))
    })
    .join("")
}

/** A line of an SQL text. */
export interface TextLine {
  readonly content: string
  /** The line without comments. */
  readonly code: string
  /** The quoted part that goes on over the start of the line, and the number of the line on which it begins. */
  readonly within: { readonly kind: QuotedPart["kind"]; readonly line: number } | null
}

/** Lists the lines of an SQL text. A quoted part that never ends does not count. */
export const linesOf = (text: string): ReadonlyArray<TextLine> => {
  const parts = quotedParts(text).filter(({ isClosed }) => isClosed)
  const contents = text.split("\n")
  const within = contents.map((): TextLine["within"] => null)
  let [line, next] = [0, (contents[0] ?? "").length + 1]
  for (const { end, kind, start } of parts) {
    const advance = (offset: number, step: () => void) => {
      while (next <= offset) {
        line += 1
        step()
        next += (contents[line] ?? "").length + 1
      }
    }
    advance(start, () => {})
    const begin = line + 1
    advance(end - 1, () => {
      within[line] = { kind, line: begin }
    })
  }
  const code = blanked(
    text,
    parts.filter(({ kind }) => kind === "comment")
  ).split("\n")
  return contents.map((content, index) => ({ content, code: code[index] ?? "", within: within[index] ?? null }))
}
