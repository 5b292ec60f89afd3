import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { ServiceName } from "../../domain/Service.ts"
import {
  cutAtMarkers,
  isProse,
  type MarkerName,
  normalise,
  type ReportProblem,
  readOptions,
  sectionOf
} from "./Markers.ts"
import type { Reversal, Revision, RevisionKind, Section } from "./Revision.ts"

/** A problem in a migration file. Line 0 is the file as a whole. */
export const RevisionFileProblem = Schema.Struct({ file: Schema.String, line: Schema.Number, problem: Schema.String })
export type RevisionFileProblem = typeof RevisionFileProblem.Type

/** Parses `NNNN_slug.sql`, or `.ts` for a data revision: four digits, then lower-case words. */
export const parseFileName = (
  name: string
): Option.Option<{ readonly number: number; readonly slug: string; readonly kind: RevisionKind }> => {
  const match = /^(\d{4})_([a-z0-9]+(?:_[a-z0-9]+)*)\.(sql|ts)$/.exec(name)
  const number = Number(match?.[1])
  const kind = match?.[3] === "ts" ? "ts" : "sql"
  return match?.[2] !== undefined && number > 0 ? Option.some({ number, slug: match[2], kind }) : Option.none()
}

/**
 * Parses a down script that was stored when its revision was applied; its lines count from 1. None if it cannot be parsed: only
 * what `parseRevision` accepted is ever stored.
 */
export const parseStoredDown = (text: string): Option.Option<Section> => {
  const problems: Array<string> = []
  const report: ReportProblem = (_, problem) => problems.push(problem)
  const [part, ...others] = cutAtMarkers(text, report)
  if (part === undefined || others.length > 0 || part.marker !== "down") return Option.none()
  const section = sectionOf(part, readOptions(part, report))
  return problems.length === 0 ? Option.some(section) : Option.none()
}

/** Parses an SQL revision. `file` is its path for messages and ends in its name. Left has every problem, by line. */
export const parseRevision = (
  service: ServiceName,
  file: string,
  content: string,
  path = file
): Either.Either<Revision, ReadonlyArray<RevisionFileProblem>> => {
  const problems: Array<RevisionFileProblem> = []
  const report: ReportProblem = (line, problem) => problems.push({ file, line, problem })
  const named = parseFileName(file.split(/[/\\]/).pop() ?? "")
  if (Option.isNone(named)) {
    report(0, "a revision's file is named NNNN_slug.sql (or .ts), for example 0002_add_reason.sql")
  }
  const parts = cutAtMarkers(normalise(content), report)
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
    report(0, 'add "-- migrate:down", or "-- migrate:irreversible <reason>" if it cannot be reverted')
  if (problems.length > 0 || up === undefined || reversal === undefined || Option.isNone(named)) {
    return Either.left(problems)
  }
  return Either.right({
    service,
    ...named.value,
    file,
    path,
    phase: up.options.phase,
    up: sectionOf(up.part, up.options),
    reversal,
    verify: verify === undefined ? Option.none() : Option.some(sectionOf(verify.part, verify.options))
  })
}
