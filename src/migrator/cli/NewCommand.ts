import { join, relative } from "node:path"
import * as Args from "@effect/cli/Args"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type { ServiceName } from "../../domain/Service.ts"
import { refusal, runForEachService, wrongUsage } from "../../platform/cli/CommandRunner.ts"
import { programFolder } from "../../platform/config/ProgramLocation.ts"
import { revisionName } from "../files/Revision.ts"
import { directoryOf, isOfBuild, type MigratedService } from "../files/RevisionSet.ts"
import { describedFlag, subcommand } from "./GlobalOptions.ts"

/** Turns a title into a slug: `Add a reason!` -> `add_a_reason`; null if no letter or digit is left. */
export const slugOf = (title: string): string | null => {
  const words = title
    .normalize("NFKD")
    .toLowerCase()
    .replace(/\p{Mark}/gu, "")
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "")
  return words.length === 0 ? null : words.join("_").slice(0, 60).replace(/_+$/, "")
}

/** The text of a new SQL revision. It has no statement yet, so that `check` refuses it until it is written. */
const sqlTemplate = (service: ServiceName, title: string): string => `-- ${title}
--
-- Why, and what a reader should know about the tables below. Name everything with its schema: ${service}.<table>.
-- A down that cannot restore the rows is still a down. If there is none, replace its marker by one that says why:
--   migrate:irreversible <reason>  (as a comment, like the markers here).
--
-- Options, after the marker: phase:contract (removes something that the running version needs; default expand),
-- transaction:false (create index concurrently; one statement at a time), lock_timeout:5s (default 2s),
-- statement_timeout:10m (default none).

-- migrate:up

-- migrate:down

`

/** The text of a new data revision in TypeScript, for work on rows. */
const dataTemplate = (service: ServiceName, title: string, imports: string): string => `// migrate:up transaction:false
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import { untilNoRowIsLeft } from "${imports}/Batches.ts"
import { dataRevision } from "${imports}/DataRevision.ts"

/**
 * ${title}.
 *
 * Each batch commits by itself and is recorded, so that a run after an interruption continues from there. Name every table with
 * its schema. Without transaction:false above, everything is one transaction; then do not use batches.
 */
export default dataRevision({
  up: untilNoRowIsLeft({
    name: "rows",
    batch: Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      // Change some of the rows that are left, and return their number: 0 ends the work.
      const changed = yield* sql\`update ${service}.todo set done = true
        where id in (select id from ${service}.todo where not done order by id limit 1000) returning id\`
      return changed.length
    })
  }),
  // Or a down that reverts it: an Effect like up.
  irreversible: "say why it cannot be reverted"
})
`

const modules = join(programFolder, "src/migrator/files")

/** Counts by names alone, so that a file that is still being written does not block the next one. */
const nextNumber = (names: ReadonlyArray<string>): number =>
  Math.max(0, ...names.map((name) => Number(/^(\d{4})_/.exec(name)?.[1] ?? 0))) + 1

const write = Effect.fn("Migrator.new")(function* (
  migrated: MigratedService,
  title: string,
  ts: boolean,
  dryRun: boolean
) {
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
const ts = describedFlag("ts", "A data revision in TypeScript, for work on rows, instead of SQL.")

export const newCommand = subcommand(
  "new",
  { ts, title },
  [
    "Writes the file of the next revision, with a marker for each part, and prints its path.",
    ['migrate new "Add a reason" --service router', 'migrate new "Fill the reasons" --service router --ts']
  ],
  (options, { title, ts }) => {
    const misfit = options.sql
      ? wrongUsage("new does not accept --sql; use it with upgrade or downgrade")
      : options.services.length === 1
        ? null
        : wrongUsage('a revision belongs to one service; name it: pnpm migrate new "<title>" --service router')
    return runForEachService(
      {
        ...options,
        work: (service) => write(service, title, ts, options.dryRun),
        render: (made) => made.map(({ file }) => file).join("\n"),
        refusal: misfit
      },
      identity
    )
  }
)
