import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import { runForEachService, wrongUsage } from "../../platform/cli/CommandRunner.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { tableOf } from "../../platform/cli/Table.ts"
import { openSchema } from "../apply/Migrate.ts"
import { readScript, runVerify, setTimeouts } from "../apply/Script.ts"
import type { MigrationSession } from "../apply/Session.ts"
import { loadDataRevision } from "../files/DataModule.ts"
import { newerSyntax } from "../files/NewerSyntax.ts"
import { revisionName, type Section } from "../files/Revision.ts"
import { type LocatedSection, requireRunnable, sectionsOf } from "../files/RevisionCheck.ts"
import { headOf, loadRevisionSet, type MigratedService, RevisionSetInvalid } from "../files/RevisionSet.ts"
import { splitStatements } from "../files/Statements.ts"
import type { CatalogDifference } from "../inspect/CatalogSnapshot.ts"
import { type RevisionRoundTrip, type RoundTripTest, testRoundTrips } from "../inspect/RoundTripTest.ts"
import { showDifference } from "../inspect/ShownDifference.ts"
import { readStatus, revisionStatuses } from "../inspect/Status.ts"
import { MigratorOptions } from "../MigratorOptions.ts"
import { describedFlag, onDatabase, subcommand, withProblemText } from "./GlobalOptions.ts"

/** What PostgreSQL of `version` does not have, among the statements of a section that can be read. */
const newerIn = ({ file, section }: LocatedSection, version: number) =>
  splitStatements(section).pipe(
    Effect.flatMap((statements) =>
      Effect.forEach(statements, ({ line, text }) =>
        Effect.map(newerSyntax(text, version), (problem) => (problem === null ? [] : [{ file, line, problem }]))
      )
    ),
    Effect.map((found) => found.flat()),
    Effect.orElseSucceed(() => [])
  )

/** Checks a service's files without a database. Imports the modules of data revisions, but does not run their work. */
const checkFiles = Effect.fn("Migrator.check")(function* (migrated: MigratedService, version: Option.Option<number>) {
  const set = yield* loadRevisionSet(migrated)
  const sections = set.revisions.flatMap(sectionsOf)
  yield* requireRunnable(set.service, sections)
  const newer = Option.isNone(version) ? [] : yield* Effect.forEach(sections, (one) => newerIn(one, version.value))
  const problems = newer.flat()
  if (problems.length > 0) return yield* new RevisionSetInvalid({ service: set.service, problems })
  yield* Effect.forEach(
    set.revisions.filter(({ kind }) => kind === "ts"),
    loadDataRevision,
    { discard: true }
  )
  return { service: set.service, head: headOf(set).name, revisions: set.revisions.length }
})

/** Checks the files, then compares them with the database. */
const checkDatabase = Effect.fn("Migrator.checkDatabase")(function* (
  service: MigratedService,
  version: Option.Option<number>
) {
  const files = yield* checkFiles(service, version)
  const { address, problem, revisions } = yield* readStatus(service)
  const pending = revisions.filter(({ state }) => state === "pending").map(({ revision }) => revision)
  return { ...files, address, pending, problem }
})

/** `pending` is only set if the database was checked. */
type FileCheck = Effect.Effect.Success<ReturnType<typeof checkFiles>> & { readonly pending?: ReadonlyArray<string> }

const renderCheck = tableOf(
  ["service", "revisions", "head", ""],
  ({ head, pending = [], revisions, service }: FileCheck) => {
    const text = pending.length === 0 ? "files are valid" : `files are valid; ${pending.length} pending`
    return [[service, String(revisions), head, { text, tone: "good" }]]
  }
)

const db = describedFlag(
  "db",
  `Check the database too: checksums of applied revisions, and exit code ${ExitCode.pending} if a revision is pending.`
)

const pgVersion = Options.integer("pg-version").pipe(
  Options.withDescription(
    "Refuse syntax that this major version of PostgreSQL does not have, such as 15. Names of functions and most options are not checked."
  ),
  Options.optional
)

export const checkCommand = subcommand(
  "check",
  { db, pgVersion },
  [
    "Checks the migration files without a database: names, numbers, markers, downs, and syntax with PostgreSQL's parser.",
    ["migrate check", "migrate check --service router --json", "migrate check --db", "migrate check --pg-version 15"]
  ],
  (options, { db, pgVersion }) => {
    if (db) {
      return onDatabase(options, {
        effects: "reads",
        work: (service) => checkDatabase(service, pgVersion),
        render: renderCheck,
        toJson: withProblemText,
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
    const refusal = options.sql ? wrongUsage("check does not accept --sql; use it with upgrade or downgrade") : null
    const work = (service: MigratedService) => checkFiles(service, pgVersion)
    return runForEachService({ ...options, work, render: renderCheck, refusal }, identity)
  }
)

/** The check of one applied revision. `holds` is null if its file is missing or has no assertion. */
interface RevisionVerification {
  readonly revision: string
  readonly checksum: "same" | "edited" | "missing" | "partly applied"
  readonly holds: boolean | null
  /** Why an assertion does not hold, with its location. */
  readonly problem: string | null
}

type AssertionAnswer = Pick<RevisionVerification, "holds" | "problem">

/** Runs the assertions of one revision in a read-only transaction of its own, so that the others run whatever its result is. */
const holds = (session: MigrationSession, file: string, section: Section) =>
  Effect.gen(function* () {
    const { lockTimeout } = yield* MigratorOptions
    const script = yield* readScript(file, section, "verify")
    yield* session.reset
    yield* session.connection.transaction(
      Effect.gen(function* () {
        yield* session.connection.query("set transaction read only")
        yield* setTimeouts(session.connection, { ...section, transaction: true }, lockTimeout)
        yield* runVerify(session.connection, script)
      })
    )
    return { holds: true, problem: null } satisfies AssertionAnswer
  }).pipe(
    Effect.catchTags({
      StatementFailed: (failure) => Effect.succeed<AssertionAnswer>({ holds: false, problem: failure.message }),
      DatabaseError: session.refuse(`verifying ${file}`)
    })
  )

const checksumOf = { applied: "same", edited: "edited", missing: "missing" } as const

const verify = Effect.fn("Migrator.verify")(function* (service: MigratedService) {
  const { entries, session, set } = yield* openSchema(service)
  const files = new Map(set.revisions.map((revision) => [revisionName(revision.number, revision.slug), revision]))
  const revisions = yield* Effect.forEach(
    revisionStatuses(set, entries).filter(({ state }) => state !== "pending" && state !== "late"),
    ({ revision, state }) => {
      const file = files.get(revision)
      const checksum =
        state === "applied" || state === "edited" || state === "missing" ? checksumOf[state] : "partly applied"
      const asked =
        file !== undefined && Option.isSome(file.verify) && checksum !== "partly applied"
          ? holds(session, file.file, file.verify.value)
          : Effect.succeed<AssertionAnswer>({ holds: null, problem: null })
      return Effect.map(asked, (found): RevisionVerification => ({ revision, checksum, ...found }))
    }
  )
  return { service: service.name, address: session.address, revisions }
}, Effect.scoped)

type SchemaVerification = Effect.Effect.Success<ReturnType<typeof verify>>

const renderVerifications = tableOf(
  ["service", "revision", "file", "assertions"],
  ({ revisions, service }: SchemaVerification) =>
    revisions.map(({ checksum, holds, revision }) => [
      service,
      revision,
      checksum === "same" ? { text: "as applied", tone: "good" } : { text: checksum, tone: "bad" },
      holds === null ? "none" : holds ? { text: "hold", tone: "good" } : { text: "fail", tone: "bad" }
    ])
)

const verificationVerdict = ({ revisions, service }: SchemaVerification) => {
  const failed = revisions.filter(({ holds }) => holds === false)
  const having = (state: RevisionVerification["checksum"]) =>
    revisions.flatMap(({ checksum, revision }) => (checksum === state ? [revision] : []))
  const [edited, half, missing] = [having("edited"), having("partly applied"), having("missing")]
  const next = `pnpm migrate --service ${service}`
  const verdict = (exitCode: number, message: string) => ({ message: `${service}: ${message}`, exitCode })
  if (failed.length > 0) {
    const lines = failed.map(({ problem, revision }) => `  ${revision}: ${problem}`)
    return verdict(
      ExitCode.failed,
      `assertions of applied revisions do not hold:\n${lines.join("\n")}\n` +
        `If a later revision changed that on purpose, the assertion is out of date; otherwise see: ${next} show <revision>`
    )
  }
  if (edited.length > 0) {
    return verdict(
      ExitCode.checksum,
      `files of applied revisions were edited: ${edited.join(", ")}. Restore them (git checkout), or accept ` +
        `them: ${next} repair --accept-checksum ${edited[0]} --reason "<why>"`
    )
  }
  if (half.length > 0) {
    const problem = `${half.join(", ")} is partly applied. To see the remedies: ${next} repair`
    return verdict(ExitCode.partlyApplied, problem)
  }
  if (missing.length === 0) return null
  const problem = `files of applied revisions are missing: ${missing.join(", ")}. Run the newer version, or see: ${next} status`
  return verdict(ExitCode.databaseAhead, problem)
}

export const verifyCommand = subcommand(
  "verify",
  {},
  [
    "Runs the assertions (migrate:verify) of every applied revision again, read-only, and compares all checksums.",
    ["migrate verify", "migrate verify --service gatekeeper --json"]
  ],
  (options) =>
    onDatabase(options, {
      effects: "reads",
      work: verify,
      render: renderVerifications,
      verdict: verificationVerdict
    })
)

const failed = ({ afterDown, afterSecondUp }: RevisionRoundTrip): boolean => afterDown.length + afterSecondUp.length > 0

const renderTrips = tableOf(["service", "revision", "up, down, up"], ({ revisions, service }: RoundTripTest) =>
  revisions.map((one) => [
    service,
    one.revision,
    one.irreversible !== null
      ? { text: `up only; irreversible: ${one.irreversible}`, tone: "warn" }
      : failed(one)
        ? { text: "not reversible", tone: "bad" }
        : { text: "reversible", tone: "good" }
  ])
)

const lines = (differences: ReadonlyArray<CatalogDifference>): string =>
  differences.map((one) => `    ${showDifference(one).replaceAll("\n", "\n    ")}`).join("\n")

/** The differences of one revision. What differs after the second up as it did after the down is named once. */
const tripProblems = ({ afterDown, afterSecondUp, revision }: RevisionRoundTrip): ReadonlyArray<string> => {
  const objects = new Set(afterDown.map(({ object }) => object))
  const others = afterSecondUp.filter(({ object }) => !objects.has(object))
  const same = afterSecondUp.length - others.length
  return [
    ...(afterDown.length === 0
      ? []
      : [
          `  ${revision}: its down does not revert its up (+ left behind, - removed too much, ~ changed):\n${lines(afterDown)}`
        ]),
    ...(others.length === 0 ? [] : [`  ${revision}: up after down differs from the first up:\n${lines(others)}`]),
    ...(same === 0 ? [] : [`  ${revision}: up after down differs from the first up in ${same} of these objects too`])
  ]
}

const tripVerdict = ({ revisions, service }: RoundTripTest) => {
  const problems = revisions.flatMap(tripProblems)
  return problems.length === 0
    ? null
    : {
        message:
          `${service}: not reversible:\n${problems.join("\n")}\n` +
          `Correct the down script, then: pnpm migrate --service ${service} test`,
        exitCode: ExitCode.failed
      }
}

export const testCommand = subcommand(
  "test",
  {},
  [
    "Applies, reverts and applies every revision again in a scratch database beside the configured one, and compares the " +
      "catalogs. The role must be allowed to create databases.",
    ["migrate test", "migrate test --service router", "migrate test --json"]
  ],
  (options) => onDatabase(options, { work: testRoundTrips, render: renderTrips, verdict: tripVerdict })
)
