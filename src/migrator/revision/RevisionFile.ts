import { createHash } from "node:crypto"
import type * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { ServiceName } from "../../domain/Service.ts"
import { parseDuration } from "../../platform/Setting.ts"
import type { Phase, Reversal, Revision, Section } from "./Revision.ts"

/** What is wrong with a file of migrations, and where. Line 0: the file as a whole. */
export const FileProblem = Schema.Struct({ file: Schema.String, line: Schema.Number, problem: Schema.String })
export type FileProblem = typeof FileProblem.Type

/** `NNNN_slug.sql`: four digits, then lower-case words. */
export const parseFileName = (name: string): Option.Option<{ readonly number: number; readonly slug: string }> => {
  const match = /^(\d{4})_([a-z0-9]+(?:_[a-z0-9]+)*)\.sql$/.exec(name)
  const number = Number(match?.[1])
  return match?.[2] !== undefined && number > 0 ? Option.some({ number, slug: match[2] }) : Option.none()
}

/** Line ends and a byte-order mark differ between checkouts of the same revision; its checksum must not. */
export const normalise = (text: string): string => text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n")

export const checksumOf = (text: string): string => createHash("sha256").update(text, "utf8").digest("hex")

const markers = ["up", "down", "irreversible", "verify"] as const
type MarkerName = (typeof markers)[number]

const optionsOf = {
  up: ["transaction", "phase", "lock_timeout", "statement_timeout"],
  down: ["transaction", "lock_timeout", "statement_timeout"],
  verify: ["statement_timeout"]
} as const

interface Part {
  readonly marker: MarkerName
  readonly rest: string
  readonly line: number
  readonly lines: Array<string>
}

interface Options {
  transaction: boolean
  phase: Phase
  lockTimeout: Option.Option<Duration.Duration>
  statementTimeout: Option.Option<Duration.Duration>
}

type Report = (line: number, problem: string) => void

const isProse = (line: string): boolean => line.trim() === "" || line.trimStart().startsWith("--")

/** Cuts the text at its marker lines. What stands before the first one may only be prose. */
const cut = (text: string, report: Report): ReadonlyArray<Part> => {
  const parts: Array<Part> = []
  let current: Part | undefined
  for (const [index, content] of text.split("\n").entries()) {
    const line = index + 1
    const match = /^-- migrate:(\S*)(.*)$/.exec(content)
    if (match === null) {
      if (/^\s*--\s*migrate\s*:/i.test(content)) {
        report(line, 'a marker must stand at the start of its line, written "-- migrate:<name>"')
      } else if (current !== undefined) {
        current.lines.push(content)
      } else if (!isProse(content)) {
        report(line, "only comments may stand before the first marker; SQL here would never run")
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
    current = { marker, rest: match[2]?.trim() ?? "", line, lines: [content] }
    parts.push(current)
  }
  return parts
}

const readOptions = (part: Part, report: Report): Options => {
  const options: Options = {
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
      report(part.line, `option ${name} is given twice`)
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

const sectionOf = (part: Part, options: Options): Section => {
  const text = part.lines.join("\n").trimEnd()
  const { transaction, lockTimeout, statementTimeout } = options
  return { text, line: part.line, checksum: checksumOf(text), transaction, lockTimeout, statementTimeout }
}

/**
 * Reads a down script as it was stored when its revision was applied; its lines count from 1. Only what `parseRevision`
 * accepted was ever stored, so what cannot be read is None.
 */
export const parseStoredDown = (text: string): Option.Option<Section> => {
  const problems: Array<string> = []
  const report: Report = (_, problem) => problems.push(problem)
  const [part, ...others] = cut(text, report)
  if (part === undefined || others.length > 0 || part.marker !== "down") return Option.none()
  const section = sectionOf(part, readOptions(part, report))
  return problems.length === 0 ? Option.some(section) : Option.none()
}

/** Reads one revision. `file` is its path as shown to people, ending in its name. Left: every problem, by line. */
export const parseRevision = (
  service: ServiceName,
  file: string,
  content: string
): Either.Either<Revision, ReadonlyArray<FileProblem>> => {
  const problems: Array<FileProblem> = []
  const report: Report = (line, problem) => problems.push({ file, line, problem })
  const named = parseFileName(file.split(/[/\\]/).pop() ?? "")
  if (Option.isNone(named)) {
    report(0, "a revision's file is named NNNN_slug.sql, for example 0002_add_reason.sql")
  }
  const parts = cut(normalise(content), report)
  const read = parts.map((part) => ({ part, options: readOptions(part, report) }))
  const find = (marker: MarkerName) => read.find(({ part }) => part.marker === marker)
  for (const { part } of read) {
    const empty = part.lines.slice(1).every(isProse)
    if (part.marker === "irreversible") {
      if (part.rest === "") report(part.line, "say why: -- migrate:irreversible <reason>")
      if (!empty) report(part.line, "migrate:irreversible has no SQL of its own")
    } else if (empty) {
      report(part.line, `migrate:${part.marker} has no statement`)
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
      : irreversible !== undefined
        ? { _tag: "Irreversible", reason: irreversible.part.rest }
        : undefined
  if (reversal === undefined)
    report(0, 'add "-- migrate:down", or "-- migrate:irreversible <reason>" if there is no way back')
  if (problems.length > 0 || up === undefined || reversal === undefined || Option.isNone(named)) {
    return Either.left(problems)
  }
  return Either.right({
    service,
    ...named.value,
    file,
    kind: "sql",
    phase: up.options.phase,
    up: sectionOf(up.part, up.options),
    reversal,
    verify: verify === undefined ? Option.none() : Option.some(sectionOf(verify.part, verify.options))
  })
}
