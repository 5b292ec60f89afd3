import { join, relative } from "node:path"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { ServiceName } from "../../domain/Service.ts"
import { hasSources, programFolder } from "../../platform/config/ProgramLocation.ts"
import { makeRevisionSet, type RevisionSet, RevisionSetInvalid, type SourceFile } from "./RevisionSet.ts"

const shipped = join(programFolder, "migrations")

/** Whether the folder belongs to a build: what is written there is lost with the next build. */
export const isOfBuild = (directory: string): boolean => !hasSources && directory === shipped

/** The folder that holds a folder per service: by default the one that ships with the program, wherever it is started. */
export class MigrationsDirectory extends Context.Reference<MigrationsDirectory>()("migrator/MigrationsDirectory", {
  defaultValue: () => shipped
}) {}

/** From the working directory where that is shorter, so that a terminal can open it. */
export const shown = (path: string): string => {
  const near = relative(process.cwd(), path)
  return near !== "" && near.length < path.length ? near : path
}

const decode = (bytes: Uint8Array): string => new TextDecoder("utf-8", { fatal: true }).decode(bytes)

/** Reads every revision of `service`. A file that is no revision is refused, but for names with a leading dot. */
export const loadRevisionSet = Effect.fn("MigrationFiles.load")(function* (
  service: ServiceName
): Effect.fn.Return<RevisionSet, RevisionSetInvalid, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const directory = join(yield* MigrationsDirectory, service)
  const invalid = (file: string, problem: string) =>
    new RevisionSetInvalid({ service, problems: [{ file: shown(file), line: 0, problem }] })
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
  return yield* makeRevisionSet(service, shown(directory), files)
})
