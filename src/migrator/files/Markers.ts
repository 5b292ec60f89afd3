import { createHash } from "node:crypto"
import type * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { parseDuration } from "../../platform/config/Setting.ts"
import type { Phase, Section } from "./Revision.ts"

/** Removes differences between checkouts of the same file, line ends and a byte-order mark, from its checksum. */
export const normalise = (text: string): string => text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n")

export const checksumOf = (text: string): string => createHash("sha256").update(text, "utf8").digest("hex")

const markers = ["up", "down", "irreversible", "verify"] as const
export type MarkerName = (typeof markers)[number]

const optionsOf = {
  up: ["transaction", "phase", "lock_timeout", "statement_timeout"],
  down: ["transaction", "lock_timeout", "statement_timeout"],
  verify: ["statement_timeout"]
} as const

export interface MarkedPart {
  readonly marker: MarkerName
  readonly rest: string
  readonly line: number
  readonly lines: Array<string>
}

export interface MarkerOptions {
  transaction: boolean
  phase: Phase
  lockTimeout: Option.Option<Duration.Duration>
  statementTimeout: Option.Option<Duration.Duration>
}

/** Reports a problem in a file. Lines count from 1; 0 is the file as a whole. */
export type ReportProblem = (line: number, problem: string) => void

export const isProse = (line: string): boolean => line.trim() === "" || line.trimStart().startsWith("--")

/** Cuts the text at its marker lines. Only comments may precede the first marker. */
export const cutAtMarkers = (text: string, report: ReportProblem): ReadonlyArray<MarkedPart> => {
  const parts: Array<MarkedPart> = []
  let current: MarkedPart | undefined
  for (const [index, content] of text.split("\n").entries()) {
    const line = index + 1
    const match = /^-- migrate:(\S*)(.*)$/.exec(content)
    if (match === null) {
      if (/^\s*--\s*migrate\s*:/i.test(content)) {
        report(line, 'a marker must be at the start of its line, written "-- migrate:<name>"')
      } else if (current !== undefined) {
        current.lines.push(content)
      } else if (!isProse(content)) {
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
    current = { marker, rest: match[2]?.trim() ?? "", line, lines: [content] }
    parts.push(current)
  }
  return parts
}

/** Parses the options on a marker's line. */
export const readOptions = (part: MarkedPart, report: ReportProblem): MarkerOptions => {
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

export const sectionOf = (part: MarkedPart, options: MarkerOptions): Section => {
  const text = part.lines.join("\n").trimEnd()
  const { transaction, lockTimeout, statementTimeout } = options
  return { text, line: part.line, checksum: checksumOf(text), transaction, lockTimeout, statementTimeout }
}
