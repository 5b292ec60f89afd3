import Fs from "node:fs"
import { join, relative, resolve, sep } from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { hasSources, programFolder } from "../../platform/config/ProgramLocation.ts"
import { reasonOf } from "../../platform/os/FileTrust.ts"
import { namingOtherTools } from "./OtherTools.ts"
import { base, type Revision, revisionName } from "./Revision.ts"
import { parseFileName, parseRevision, RevisionFileProblem } from "./RevisionFile.ts"

/** A service's migration files do not form a valid history; nothing was run. */
export class RevisionSetInvalid extends Schema.TaggedError<RevisionSetInvalid>()("RevisionSetInvalid", {
  service: ServiceName,
  problems: Schema.Array(RevisionFileProblem)
}) {
  readonly exitCode = ExitCode.invalidFiles
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

/** Parses and orders the files of `directory`. Their numbers start at 0001, each once and without a gap. */
export const makeRevisionSet = (
  service: ServiceName,
  directory: string,
  files: ReadonlyArray<SourceFile>
): Either.Either<RevisionSet, RevisionSetInvalid> => {
  const problems: Array<RevisionFileProblem> = []
  const revisions: Array<Revision> = []
  for (const source of files) {
    Either.match(parseRevision(service, source.file, source.content, source.path), {
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
    : Either.left(new RevisionSetInvalid({ service, problems: namingOtherTools(directory, files, problems) }))
}

/** A service whose schema the migrator manages. */
export interface MigratedService<S extends ServiceName = ServiceName> {
  /** Its PostgreSQL schema has the same name. */
  readonly name: S
  /** The folder of its revisions; a relative path is below MigrationsDirectory. */
  readonly directory: string
}

const shipped = join(programFolder, "migrations")

/** True if a folder of revisions belongs to a build: what is written there is lost with the next build. */
export const isOfBuild = (directory: string): boolean => !hasSources && directory.startsWith(`${shipped}${sep}`)

/** The folder of all migrations: by default the one that ships with the program, whatever the working directory is. */
export class MigrationsDirectory extends Context.Reference<MigrationsDirectory>()(
  "migrator/files/MigrationsDirectory",
  {
    defaultValue: () => shipped
  }
) {}

/** The folder of a service's revisions, as an absolute path. */
export const directoryOf = ({ directory }: MigratedService) =>
  Effect.map(MigrationsDirectory, (root) => resolve(root, directory))

/** Shortens a path to be relative to the working directory, if that is shorter, so that a terminal can open it. */
export const shown = (path: string): string => {
  const near = relative(process.cwd(), path)
  return near !== "" && near.length < path.length ? near : path
}

const decode = (bytes: Uint8Array): string => new TextDecoder("utf-8", { fatal: true }).decode(bytes)

/**
 * Reads every revision of `service`. Refuses a file that is not a revision, except names with a leading dot.
 *
 * It reads synchronously: 20 us a file. Through the pool of threads a file takes four turns and 400 us, and a start does nothing else
 * meanwhile.
 */
export const loadRevisionSet = Effect.fn("MigrationFiles.load")(function* (
  service: MigratedService
): Effect.fn.Return<RevisionSet, RevisionSetInvalid> {
  const directory = yield* directoryOf(service)
  const invalid = (file: string, problem: string) =>
    new RevisionSetInvalid({ service: service.name, problems: [{ file: shown(file), line: 0, problem }] })
  const names = yield* Effect.try({
    try: () => Fs.readdirSync(directory),
    catch: (error) =>
      invalid(directory, `the folder cannot be read (${reasonOf(error)}); restore it from version control`)
  })
  const files: Array<SourceFile> = []
  for (const name of names.filter((name) => !name.startsWith(".")).sort()) {
    const path = join(directory, name)
    const read = Effect.try({
      try: () => Fs.readFileSync(path),
      catch: (error) => invalid(path, `cannot be read (${reasonOf(error)})`)
    })
    // The name of a folder or of a foreign file is refused anyway, and may show which tool wrote it.
    const bytes = yield* Option.isSome(parseFileName(name)) ? read : Effect.orElseSucceed(read, () => new Uint8Array())
    const content = yield* Effect.try({
      try: () => decode(bytes),
      catch: () => invalid(path, "is not UTF-8; save it as UTF-8")
    })
    files.push({ file: shown(path), content, path })
  }
  return yield* makeRevisionSet(service.name, shown(directory), files)
})
