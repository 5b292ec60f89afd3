import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { parseDataRevision } from "./DataRevisionFile.ts"
import { base, type Revision, revisionName } from "./Revision.ts"
import { parseFileName, parseRevision, RevisionFileProblem } from "./RevisionFile.ts"

/** A service's migration files do not form a valid history; nothing was run. */
export class RevisionSetInvalid extends Schema.TaggedError<RevisionSetInvalid>()("RevisionSetInvalid", {
  service: ServiceName,
  problems: Schema.Array(RevisionFileProblem)
}) {
  get exitCode() {
    return ExitCode.invalidFiles
  }
  override get message(): string {
    const lines = this.problems.map(
      ({ file, line, problem }) => `  ${line === 0 ? file : `${file}:${line}`}: ${problem}`
    )
    return `${this.service}: the migration files are not a valid history; nothing was run:\n${lines.join("\n")}`
  }
}

/** Every revision of a service, in order: number `n` at index `n - 1`. At least one. */
export interface RevisionSet {
  readonly service: ServiceName
  readonly revisions: ReadonlyArray<Revision>
}

/** The last revision of the set. */
export const headOf = (set: RevisionSet): { readonly number: number; readonly name: string } => {
  const last = set.revisions.at(-1)
  return last === undefined
    ? { number: 0, name: base }
    : { number: last.number, name: revisionName(last.number, last.slug) }
}

export interface SourceFile {
  /** The path for messages. */
  readonly file: string
  readonly content: string
  /** The absolute path, from which the module of a data revision is imported. */
  readonly path?: string
}

const parse = (service: ServiceName, { content, file, path = file }: SourceFile) => {
  const named = parseFileName(file.split(/[/\\]/).pop() ?? "")
  const read = Option.isSome(named) && named.value.kind === "ts" ? parseDataRevision : parseRevision
  return read(service, file, content, path)
}

/** Parses and orders the files of `directory`. Their numbers start at 0001, each once and without a gap. */
export const makeRevisionSet = (
  service: ServiceName,
  directory: string,
  files: ReadonlyArray<SourceFile>
): Either.Either<RevisionSet, RevisionSetInvalid> => {
  const problems: Array<RevisionFileProblem> = []
  const revisions: Array<Revision> = []
  for (const source of files) {
    Either.match(parse(service, source), {
      onLeft: (found) => problems.push(...found),
      onRight: (revision) => revisions.push(revision)
    })
  }
  revisions.sort((a, b) => a.number - b.number)
  for (const [index, revision] of revisions.entries()) {
    const previous = revisions[index - 1]
    const expected = (previous?.number ?? 0) + 1
    const report = (problem: string) => problems.push({ file: revision.file, line: 0, problem })
    if (revision.number === previous?.number) {
      report(
        `number ${revision.number} is taken by ${previous.file} too; give the later one the next number: ` +
          `pnpm migrate --service ${service} renumber ${revisionName(revision.number, revision.slug)} ` +
          `(or ${revisionName(previous.number, previous.slug)})`
      )
    } else if (revision.number !== expected && problems.length === 0) {
      report(
        `the revision before it, number ${String(expected).padStart(4, "0")}, is missing; restore its file, or close the gap: ` +
          `pnpm migrate --service ${service} renumber ${revisionName(revision.number, revision.slug)}`
      )
    }
  }
  if (files.length === 0) problems.push({ file: directory, line: 0, problem: "the folder has no revision" })
  return problems.length === 0
    ? Either.right({ service, revisions })
    : Either.left(new RevisionSetInvalid({ service, problems }))
}
