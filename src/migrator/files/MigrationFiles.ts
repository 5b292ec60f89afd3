import { join, relative, resolve, sep } from "node:path"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { ServiceName } from "../../domain/Service.ts"
import { hasSources, programFolder } from "../../platform/config/ProgramLocation.ts"
import { makeRevisionSet, type RevisionSet, RevisionSetInvalid, type SourceFile } from "./RevisionSet.ts"

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

/** Reads every revision of `service`. Refuses a file that is not a revision, except names with a leading dot. */
export const loadRevisionSet = Effect.fn("MigrationFiles.load")(function* (
  service: MigratedService
): Effect.fn.Return<RevisionSet, RevisionSetInvalid, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* directoryOf(service)
  const invalid = (file: string, problem: string) =>
    new RevisionSetInvalid({ service: service.name, problems: [{ file: shown(file), line: 0, problem }] })
  const names = yield* fs
    .readDirectory(directory)
    .pipe(Effect.mapError((error) => invalid(directory, `the folder cannot be read (${error.message})`)))
  const files = yield* Effect.forEach(
    names.filter((name) => !name.startsWith(".")).sort(),
    (name) => {
      const path = join(directory, name)
      return fs.readFile(path).pipe(
        Effect.mapError((error) => invalid(path, `cannot be read (${error.message})`)),
        Effect.flatMap((bytes) =>
          Effect.try({ try: () => decode(bytes), catch: () => invalid(path, "is not UTF-8; save it as UTF-8") })
        ),
        Effect.map((content): SourceFile => ({ file: shown(path), content, path }))
      )
    },
    { concurrency: 8 }
  )
  return yield* makeRevisionSet(service.name, shown(directory), files)
})
