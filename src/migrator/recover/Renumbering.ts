import { join } from "node:path"
import * as FileSystem from "@effect/platform/FileSystem"
import { getSomes } from "effect/Array"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { knownEntries } from "../apply/SchemaLock.ts"
import { openSession } from "../apply/Session.ts"
import { revisionName } from "../files/Revision.ts"
import { type NumberedFile, parseFileName } from "../files/RevisionFile.ts"
import { directoryOf, isOfBuild, loadRevisionSet, type MigratedService, shown } from "../files/RevisionSet.ts"
import { type HistoryEntry, makeMigrationHistory } from "../history/MigrationHistory.ts"
import { MigratorOptions } from "../MigratorOptions.ts"

/** A revision's file cannot be renumbered. */
export class RenumberRefused extends Schema.TaggedError<RenumberRefused>()("RenumberRefused", {
  service: ServiceName,
  problem: Schema.String,
  exitCode: Schema.Number
}) {
  override get message(): string {
    return `${this.service}: ${this.problem}; no file was renamed. See: pnpm migrate --service ${this.service} status`
  }
}

/**
 * Gives a revision the lowest free number after every applied revision. `name` is its full name, or its number if only one file has
 * that. Refuses a revision that is applied in this database, and one whose number is already right.
 */
export const renumbering = (
  service: ServiceName,
  files: ReadonlyArray<NumberedFile>,
  history: ReadonlyArray<Pick<HistoryEntry, "revision" | "slug">>,
  name: string
): Either.Either<{ readonly file: NumberedFile; readonly number: number }, RenumberRefused> => {
  const refused = (problem: string, exitCode: number = ExitCode.refused) =>
    Either.left(new RenumberRefused({ service, problem, exitCode }))
  const nameOf = ({ number, slug }: NumberedFile) => revisionName(number, slug)
  const asked = files.filter(
    (file) => nameOf(file) === name || (/^\d{1,4}$/.test(name) && file.number === Number(name))
  )
  const [file, other] = asked
  if (file === undefined) return refused(`there is no file of a revision ${name}`, ExitCode.usage)
  if (other !== undefined) {
    return refused(`${asked.map(nameOf).join(" and ")} both have that number; name one of them in full`, ExitCode.usage)
  }
  const applied = history.find(({ revision }) => revision === file.number)
  if (applied?.slug === file.slug) return refused(`${nameOf(file)} is applied in this database, so it keeps its number`)
  const others = new Set(files.filter((one) => one !== file).map(({ number }) => number))
  const last = Math.max(0, ...history.map(({ revision }) => revision))
  let number = last + 1
  while (others.has(number)) number++
  const below = Array.from({ length: file.number - 1 }, (_, index) => index + 1)
  const isInPlace =
    applied === undefined && file.number > last && !others.has(file.number) && below.every((one) => others.has(one))
  return isInPlace
    ? refused(`${nameOf(file)} already has a number of its own, right after the revision before it`)
    : Either.right({ file, number })
}

/** Renames a revision's file after reading the history of the configured database. Takes no lock, since no table changes. */
export const renumber = Effect.fn("Migrator.renumber")(function* (migrated: MigratedService, name: string) {
  const service = migrated.name
  const fs = yield* FileSystem.FileSystem
  const directory = yield* directoryOf(migrated)
  const broken = ({ message: problem }: { readonly message: string }) =>
    new RenumberRefused({ service, problem, exitCode: ExitCode.invalidFiles })
  if (isOfBuild(directory)) {
    return yield* broken({ message: `${directory} belongs to a build; run pnpm migrate renumber in the sources` })
  }
  const names = yield* fs.readDirectory(directory).pipe(Effect.mapError(broken))
  const session = yield* openSession(service)
  const snapshot = yield* makeMigrationHistory(service, session.connection, yield* MigratorOptions).read.pipe(
    Effect.mapError(session.refuse("reading the migration history"))
  )
  const entries = yield* knownEntries(service, snapshot)
  const { file, number } = yield* renumbering(service, getSomes(names.map(parseFileName)), entries, name)
  const from = revisionName(file.number, file.slug)
  const to = revisionName(number, file.slug)
  const path = join(directory, `${to}.${file.kind}`)
  yield* fs.rename(join(directory, `${from}.${file.kind}`), path).pipe(Effect.mapError(broken))
  const left = yield* Effect.either(loadRevisionSet(migrated))
  return {
    service,
    from,
    to,
    file: shown(path),
    /** What is still wrong with the files, or null. */
    left: Either.isLeft(left) ? left.left.message : null
  }
}, Effect.scoped)

export type RenumberOutcome = Effect.Effect.Success<ReturnType<typeof renumber>>
