import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { ServiceName } from "../../domain/Service.ts"
import { checksumOf, type MarkedPart, normalise, type ReportProblem, readOptions, sectionOf } from "./Markers.ts"
import type { Revision } from "./Revision.ts"
import { parseFileName, type RevisionFileProblem } from "./RevisionFile.ts"

/** Finds the marker line. Reports anything else that looks like a marker, which may be a typing error. */
const markerOf = (lines: ReadonlyArray<string>, report: ReportProblem): MarkedPart => {
  let found: MarkedPart | undefined
  for (const [index, content] of lines.entries()) {
    const line = index + 1
    const match = /^\/\/ migrate:up(?:\s+(.*))?$/.exec(content)
    if (match !== null) {
      if (found !== undefined) report(line, 'a second "migrate:up"')
      found = { marker: "up", rest: match[1]?.trim() ?? "", line, lines: [] }
    } else if (/^\s*\/\/\s*migrate\s*:/i.test(content)) {
      report(
        line,
        'in a data revision the only marker is "// migrate:up <options>", at the start of its line; down, or why there is ' +
          "none, is what the module exports"
      )
    }
  }
  return found ?? { marker: "up", rest: "", line: 1, lines: [] }
}

/**
 * Parses the file of a data revision without running it. The checksum covers the whole file. The options are on an optional line
 * `// migrate:up phase:contract transaction:false lock_timeout:2s statement_timeout:5m`. They are text instead of exports, so
 * that `status` and a start at head run no code of a revision.
 */
export const parseDataRevision = (
  service: ServiceName,
  file: string,
  content: string,
  path: string
): Either.Either<Revision, ReadonlyArray<RevisionFileProblem>> => {
  const problems: Array<RevisionFileProblem> = []
  const report: ReportProblem = (line, problem) => problems.push({ file, line, problem })
  const named = parseFileName(file.split(/[/\\]/).pop() ?? "")
  const text = normalise(content)
  const marker = markerOf(text.split("\n"), report)
  const options = readOptions(marker, report)
  if (text.trim() === "") report(0, "is empty; it exports { up, down } or { up, irreversible }, see DataRevision.ts")
  if (Option.isNone(named)) report(0, "a data revision's file is named NNNN_slug.ts")
  if (problems.length > 0 || Option.isNone(named)) return Either.left(problems)
  const up = { ...sectionOf(marker, options), text, checksum: checksumOf(text) }
  return Either.right({
    service,
    ...named.value,
    file,
    path,
    phase: options.phase,
    up,
    reversal: { _tag: "Module" },
    verify: Option.none()
  })
}
