import { join, relative } from "node:path"
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import { refusal, runForEachService, wrongUsage } from "../../platform/cli/CommandRunner.ts"
import { flag } from "../../platform/cli/Flags.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import { programFolder } from "../../platform/config/ProgramLocation.ts"
import { directoryOf, isOfBuild, type MigratedService } from "../files/MigrationFiles.ts"
import { revisionName } from "../files/Revision.ts"
import { dataTemplate, slugOf, sqlTemplate } from "../files/RevisionTemplate.ts"
import { commandOptions, globalOptions } from "./GlobalOptions.ts"

const modules = join(programFolder, "src/migrator/files")

/** Counts by names alone, so that a file that is still being written does not block the next one. */
const nextNumber = (names: ReadonlyArray<string>): number =>
  Math.max(0, ...names.map((name) => Number(/^(\d{4})_/.exec(name)?.[1] ?? 0))) + 1

interface Wanted {
  readonly title: string
  readonly ts: boolean
  readonly dryRun: boolean
}

const write = Effect.fn("Migrator.new")(function* (migrated: MigratedService, { dryRun, title, ts }: Wanted) {
  const fs = yield* FileSystem.FileSystem
  const service = migrated.name
  const directory = yield* directoryOf(migrated)
  if (isOfBuild(directory)) {
    return yield* refusal(`${service}: ${directory} belongs to a build; run pnpm migrate new in the sources`)
  }
  const slug = slugOf(title)
  if (slug === null) return yield* wrongUsage(`${JSON.stringify(title)} has no letter or digit for a file name`)
  const failed = (error: Error) => refusal(`${service}: cannot create a revision in ${directory}: ${error.message}`)
  const names = yield* Effect.mapError(fs.readDirectory(directory), failed)
  const number = nextNumber(names)
  if (number > 9_999) return yield* refusal(`${service}: number 9999 is taken, and it is the last possible one`)
  const revision = revisionName(number, slug)
  const path = join(directory, `${revision}.${ts ? "ts" : "sql"}`)
  const text = ts
    ? dataTemplate(service, title, relative(directory, modules).replaceAll("\\", "/"))
    : sqlTemplate(service, title)
  // `wx`: two commands at the same time do not overwrite each other's file.
  if (!dryRun) yield* Effect.mapError(fs.writeFileString(path, text, { flag: "wx" }), failed)
  return { service, revision, file: relative(process.cwd(), path), written: !dryRun }
})

const title = Args.text({ name: "title" }).pipe(
  Args.withDescription('What it does, in a few words, for the file name: "Add a reason" -> 0002_add_a_reason.sql')
)
const ts = flag("ts").pipe(Options.withDescription("A data revision in TypeScript, for work on rows, instead of SQL."))

export const newCommand = Command.make("new", { ...globalOptions, ts, title }, ({ title, ts, ...inner }) =>
  Effect.flatMap(commandOptions(inner), ({ dryRun, json, noColor, services, sql }) => {
    const misfit = sql
      ? wrongUsage("new does not accept --sql; use it with upgrade or downgrade")
      : services.length === 1
        ? null
        : wrongUsage('a revision belongs to one service; name it: pnpm migrate new "<title>" --service router')
    return runForEachService(
      {
        command: "new",
        services,
        json,
        noColor,
        work: (service) => write(service, { title, ts, dryRun }),
        render: (made) => made.map(({ file }) => file).join("\n"),
        refusal: misfit
      },
      identity
    )
  })
).pipe(
  Command.withDescription(
    helpOf("Writes the file of the next revision, with a marker for each part, and prints its path.", [
      'migrate new "Add a reason" --service router',
      'migrate new "Fill the reasons" --service router --ts'
    ])
  )
)
