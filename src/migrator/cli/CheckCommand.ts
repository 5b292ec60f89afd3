import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import { runForEachService, wrongUsage } from "../../platform/cli/CommandRunner.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { renderTable } from "../../platform/cli/Table.ts"
import { loadDataRevision } from "../files/DataModule.ts"
import type { Revision, Section } from "../files/Revision.ts"
import type { RevisionFileProblem } from "../files/RevisionFile.ts"
import { headOf, loadRevisionSet, type MigratedService, RevisionSetInvalid } from "../files/RevisionSet.ts"
import { splitStatements } from "../files/Statements.ts"
import { readStatus } from "../inspect/Status.ts"
import { commandOptions, describedFlag, globalOptions, onDatabase, withHelp } from "./GlobalOptions.ts"

const sectionsOf = ({ reversal, up, verify }: Revision): ReadonlyArray<Section> => [
  up,
  ...(reversal._tag === "Down" ? [reversal.section] : []),
  ...Option.toArray(verify)
]

/**
 * Checks a service's files without a database: names, numbers, markers, downs and syntax. The module of a data revision is
 * imported, but its work does not run.
 */
const checkFiles = Effect.fn("Migrator.check")(function* (migrated: MigratedService) {
  const set = yield* loadRevisionSet(migrated)
  const problems = yield* Effect.forEach(set.revisions, (revision) =>
    Effect.forEach(revision.kind === "ts" ? [] : sectionsOf(revision), (section) =>
      splitStatements(section).pipe(
        Effect.as(Option.none<RevisionFileProblem>()),
        Effect.catchAll(({ line, problem }) => Effect.succeedSome({ file: revision.file, line, problem }))
      )
    )
  )
  const found = problems.flat().flatMap(Option.toArray)
  if (found.length > 0) return yield* new RevisionSetInvalid({ service: set.service, problems: found })
  yield* Effect.forEach(
    set.revisions.filter(({ kind }) => kind === "ts"),
    loadDataRevision,
    { discard: true }
  )
  return { service: set.service, head: headOf(set).name, revisions: set.revisions.length }
})

/** Checks the files, then compares them with the database. */
const checkDatabase = Effect.fn("Migrator.checkDatabase")(function* (service: MigratedService) {
  const files = yield* checkFiles(service)
  const { address, problem, revisions } = yield* readStatus(service)
  const pending = revisions.filter(({ state }) => state === "pending").map(({ revision }) => revision)
  return { ...files, address, pending, problem }
})

/** `pending` is only set if the database was checked. */
type FileCheck = Effect.Effect.Success<ReturnType<typeof checkFiles>> & { readonly pending?: ReadonlyArray<string> }

const renderCheck = (checks: ReadonlyArray<FileCheck>, colours: boolean): string =>
  renderTable(
    ["service", "revisions", "head", ""],
    checks.map(({ head, pending, revisions, service }) => [
      { text: service },
      { text: String(revisions) },
      { text: head },
      {
        text:
          pending === undefined || pending.length === 0
            ? "files are valid"
            : `files are valid; ${pending.length} pending`,
        tone: "good"
      }
    ]),
    colours
  )

const db = describedFlag(
  "db",
  `Check the database too: checksums of applied revisions, and exit code ${ExitCode.pending} if a revision is pending.`
)

export const checkCommand = Command.make("check", { ...globalOptions, db }, ({ db, ...inner }) =>
  Effect.flatMap(commandOptions(inner), (options) => {
    const { json, noColor, services, sql } = options
    if (db) {
      return onDatabase(options, {
        command: "check",
        effects: "reads",
        work: checkDatabase,
        render: renderCheck,
        toJson: ({ problem, ...found }) => ({ ...found, problem: problem === null ? null : problem.message }),
        verdict: ({ pending, problem, service }) =>
          problem ??
          (pending.length === 0
            ? null
            : {
                message: `${service}: pending: ${pending.join(", ")}. To apply: pnpm migrate --service ${service} upgrade`,
                exitCode: ExitCode.pending
              })
      })
    }
    const refusal = sql ? wrongUsage("check does not accept --sql; use it with upgrade or downgrade") : null
    return runForEachService(
      { command: "check", services, json, noColor, work: checkFiles, render: renderCheck, refusal },
      identity
    )
  })
).pipe(
  withHelp(
    "Checks the migration files without a database: names, numbers, markers, downs, and syntax with PostgreSQL's parser.",
    ["migrate check", "migrate check --service router --json", "migrate check --db"]
  )
)
