import { createHash } from "node:crypto"
import type * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { ServiceName } from "../../domain/Service.ts"
import { parseDuration } from "../../platform/config/Setting.ts"
import { linesOf } from "./QuotedText.ts"
import type { Phase, Reversal, Revision, Section } from "./Revision.ts"
import { foreignText } from "./SyntaxProblem.ts"

/** Removes differences between checkouts of the same file, line ends and a byte-order mark, from its checksum. */
const normalise = (text: string): string => text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n")

export const checksumOf = (text: string): string => createHash("sha256").update(text, "utf8").digest("hex")

const markers = ["up", "down", "irreversible", "verify"] as const
type MarkerName = (typeof markers)[number]

const optionsOf = {
  up: ["transaction", "phase", "lock_timeout", "statement_timeout"],
  down: ["transaction", "lock_timeout", "statement_timeout"],
  verify: ["statement_timeout"]
} as const

interface MarkedPart {
  readonly marker: MarkerName
  readonly rest: string
  readonly line: number
  readonly lines: Array<string>
  /** Whether it holds anything but comments. */
  hasCode: boolean
}

interface MarkerOptions {
  transaction: boolean
  phase: Phase
  lockTimeout: Option.Option<Duration.Duration>
  statementTimeout: Option.Option<Duration.Duration>
}

/** Reports a problem in a file. Lines count from 1; 0 is the file as a whole. */
type ReportProblem = (line: number, problem: string) => void

const markerLine = /^-- migrate:(\S*)(.*)$/

/** A line within a quoted text that looks like a marker; `begin` is the line on which that begins. */
interface HiddenMarker {
  readonly line: number
  readonly begin: number
}

/** Cuts the text at its marker lines, which are comments of the top level. Only comments may precede the first marker. */
const cutAtMarkers = (text: string, report: ReportProblem) => {
  const parts: Array<MarkedPart> = []
  const hidden: Array<HiddenMarker> = []
  let current: MarkedPart | undefined
  let isMisplaced = false
  for (const [index, { code, content, within }] of linesOf(text).entries()) {
    const line = index + 1
    const match = markerLine.exec(content)
    if (match === null || within !== null) {
      if (within === null && /^\s*--\s*migrate\s*:/i.test(content)) {
        report(line, 'a marker must be at the start of its line, written "-- migrate:<name>"')
        continue
      }
      if (within !== null && within.kind !== "comment" && markers.some((name) => match?.[1] === name)) {
        hidden.push({ line, begin: within.line })
      }
      if (current !== undefined) {
        current.lines.push(content)
        current.hasCode ||= code.trim() !== ""
      } else if (code.trim() !== "" && !isMisplaced) {
        isMisplaced = true
        report(line, "only comments may precede the first marker; SQL here would never run")
      }
      continue
    }
    const marker = markers.find((name) => name === match[1])
    if (marker === undefined) {
      report(
        line,
        `unknown marker "migrate:${match[1]}"; known are ${markers.map((name) => `migrate:${name}`).join(", ")}`
      )
      continue
    }
    if (parts.some((part) => part.marker === marker)) report(line, `a second "migrate:${marker}"`)
    current = { marker, rest: match[2]?.trim() ?? "", line, lines: [content], hasCode: false }
    parts.push(current)
  }
  return { parts, hidden }
}

/** Parses the options on a marker's line. */
const readOptions = (part: MarkedPart, report: ReportProblem): MarkerOptions => {
  const options: MarkerOptions = {
    transaction: true,
    phase: "expand",
    lockTimeout: Option.none(),
    statementTimeout: Option.none()
  }
  if (part.marker === "irreversible") return options
  const known: ReadonlyArray<string> = optionsOf[part.marker]
  const seen = new Set<string>()
  for (const word of part.rest.split(/\s+/).filter((word) => word !== "")) {
    const [name = "", value = ""] = word.split(/:(.*)/s)
    const wrong = (expected: string) => report(part.line, `${name}:${value}: expected ${expected}`)
    const timeout = () => {
      const parsed = parseDuration(value)
      if (Option.isNone(parsed)) wrong(`a duration, such as ${name}:2s`)
      return parsed
    }
    if (!known.includes(name)) {
      report(part.line, `unknown option "${word}" on migrate:${part.marker}; known are ${known.join(", ")}`)
    } else if (seen.has(name)) {
      report(part.line, `option ${name} is set twice`)
    } else if (name === "transaction") {
      if (value === "false") options.transaction = false
      else if (value !== "true") wrong("transaction:true or transaction:false")
    } else if (name === "phase") {
      if (value === "expand" || value === "contract") options.phase = value
      else wrong("phase:expand or phase:contract")
    } else if (name === "lock_timeout") {
      options.lockTimeout = timeout()
    } else {
      options.statementTimeout = timeout()
    }
    seen.add(name)
  }
  return options
}

const sectionOf = (part: MarkedPart, options: MarkerOptions): Section => {
  const text = part.lines.join("\n").trimEnd()
  const { transaction, lockTimeout, statementTimeout } = options
  return { text, line: part.line, checksum: checksumOf(text), transaction, lockTimeout, statementTimeout }
}

/** A problem in a migration file. Line 0 is the file as a whole. */
export const RevisionFileProblem = Schema.Struct({ file: Schema.String, line: Schema.Number, problem: Schema.String })
export type RevisionFileProblem = typeof RevisionFileProblem.Type

/** What a file's name says of its revision. */
export type NumberedFile = Pick<Revision, "number" | "slug" | "kind">

/** Parses `NNNN_slug.sql`, or `.ts` for a data revision: four digits, then lower-case words. */
export const parseFileName = (name: string): Option.Option<NumberedFile> => {
  const match = /^(\d{4})_([a-z0-9]+(?:_[a-z0-9]+)*)\.(sql|ts)$/.exec(name)
  const number = Number(match?.[1])
  const kind = match?.[3] === "ts" ? "ts" : "sql"
  return match?.[2] !== undefined && number > 0 ? Option.some({ number, slug: match[2], kind }) : Option.none()
}

/** Parses a stored down script; its lines count from 1. None if `parseRevision` would not have accepted it. */
export const parseStoredDown = (text: string): Option.Option<Section> => {
  const problems: Array<string> = []
  const report: ReportProblem = (_, problem) => problems.push(problem)
  const [part, ...others] = cutAtMarkers(text, report).parts
  if (part === undefined || others.length > 0 || part.marker !== "down") return Option.none()
  const section = sectionOf(part, readOptions(part, report))
  return problems.length === 0 ? Option.some(section) : Option.none()
}

/** What the text of a file says of its revision. */
type ParsedText = Pick<Revision, "phase" | "up" | "reversal" | "verify">

/** Says why markers are not seen: text for psql before them, or a quote that is missing or one too many. */
const reportHidden = (text: string, hidden: ReadonlyArray<HiddenMarker>, report: ReportProblem): void => {
  const foreign = foreignText(text)
  if (foreign !== null) report(text.slice(0, foreign.offset).split("\n").length, foreign.problem)
  for (const { begin, line } of foreign === null ? hidden : []) {
    report(line, `this marker is within the quoted text that begins on line ${begin}: is a quote missing there?`)
  }
}

const parseSql = (text: string, report: ReportProblem): ParsedText | undefined => {
  const { hidden, parts } = cutAtMarkers(text, report)
  const read = parts.map((part) => ({ part, options: readOptions(part, report) }))
  const find = (marker: MarkerName) => read.find(({ part }) => part.marker === marker)
  for (const { part } of read) {
    if (part.marker === "irreversible") {
      if (part.rest === "") report(part.line, "say why: -- migrate:irreversible <reason>")
      if (part.hasCode) report(part.line, "migrate:irreversible has no SQL of its own")
    } else if (!part.hasCode) {
      const instead =
        part.marker === "down" ? '; if it cannot be reverted, write "-- migrate:irreversible <reason>"' : ""
      report(part.line, `migrate:${part.marker} has no statement${instead}`)
    }
  }
  const [up, down, irreversible, verify] = [find("up"), find("down"), find("irreversible"), find("verify")]
  if (up === undefined) report(0, 'there is no "-- migrate:up"')
  if (down !== undefined && irreversible !== undefined) {
    report(irreversible.part.line, "migrate:down and migrate:irreversible exclude each other")
  }
  const reversal: Reversal | undefined =
    down !== undefined
      ? { _tag: "Down", section: sectionOf(down.part, down.options) }
      : irreversible && { _tag: "Irreversible", reason: irreversible.part.rest }
  if (up === undefined || reversal === undefined) reportHidden(text, hidden, report)
  if (reversal === undefined)
    report(0, 'add "-- migrate:down", or "-- migrate:irreversible <reason>" if it cannot be reverted')
  return (
    up &&
    reversal && {
      phase: up.options.phase,
      up: sectionOf(up.part, up.options),
      reversal,
      verify: Option.map(Option.fromNullable(verify), ({ options, part }) => sectionOf(part, options))
    }
  )
}

/** Finds the marker line. Reports anything else that looks like a marker, which may be a typing error. */
const markerOf = (lines: ReadonlyArray<string>, report: ReportProblem): MarkedPart => {
  let found: MarkedPart | undefined
  for (const [index, content] of lines.entries()) {
    const line = index + 1
    const match = /^\/\/ migrate:up(?:\s+(.*))?$/.exec(content)
    if (match !== null) {
      if (found !== undefined) report(line, 'a second "migrate:up"')
      found = { marker: "up", rest: match[1]?.trim() ?? "", line, lines: [], hasCode: true }
    } else if (/^\s*\/\/\s*migrate\s*:/i.test(content)) {
      report(
        line,
        'in a data revision the only marker is "// migrate:up <options>", at the start of its line; down, or why there is ' +
          "none, is what the module exports"
      )
    }
  }
  return found ?? { marker: "up", rest: "", line: 1, lines: [], hasCode: true }
}

/**
 * Parses the file of a data revision without running it. The checksum covers the whole file. The options are on an optional line
 * `// migrate:up phase:contract transaction:false lock_timeout:2s statement_timeout:5m`. They are text instead of exports, so
 * that `status` and a start at head run no code of a revision.
 */
const parseData = (text: string, report: ReportProblem): ParsedText => {
  const marker = markerOf(text.split("\n"), report)
  const options = readOptions(marker, report)
  if (text.trim() === "") report(0, "is empty; it exports { up, down } or { up, irreversible }, see DataRevision.ts")
  const up = { ...sectionOf(marker, options), text, checksum: checksumOf(text) }
  return { phase: options.phase, up, reversal: { _tag: "Module" }, verify: Option.none() }
}

const nulCharacter =
  "a NUL character (U+0000), which no text of PostgreSQL can hold; remove it, and save the file as UTF-8"

/** Parses a revision. `file` is its path for messages and ends in its name. Left has every problem, by line. */
export const parseRevision = (
  service: ServiceName,
  file: string,
  content: string,
  path = file
): Either.Either<Revision, ReadonlyArray<RevisionFileProblem>> => {
  const problems: Array<RevisionFileProblem> = []
  const report: ReportProblem = (line, problem) => problems.push({ file, line, problem })
  const named = Option.getOrUndefined(parseFileName(file.split(/[/\\]/).pop() ?? ""))
  if (named === undefined) {
    report(0, "a revision's file is named NNNN_slug.sql (or .ts), for example 0002_add_reason.sql")
  }
  const text = normalise(content)
  const before = text.split("\0", 1)[0] ?? ""
  if (before.length < text.length) report(before.split("\n").length, nulCharacter)
  const parsed = before.length < text.length ? undefined : (named?.kind === "ts" ? parseData : parseSql)(text, report)
  return problems.length > 0 || named === undefined || parsed === undefined
    ? Either.left(problems)
    : Either.right({ service, ...named, file, path, ...parsed })
}
