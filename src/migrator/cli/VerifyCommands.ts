import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { type Cell, renderTable } from "../../platform/cli/Table.ts"
import { openSchema } from "../apply/Migrate.ts"
import { readScript, runVerify, setTimeouts } from "../apply/Script.ts"
import type { MigrationSession } from "../apply/Session.ts"
import { revisionName, type Section } from "../files/Revision.ts"
import type { MigratedService } from "../files/RevisionSet.ts"
import { type CatalogDifference, showDifference } from "../inspect/CatalogSnapshot.ts"
import { type RevisionRoundTrip, type RoundTripTest, testRoundTrips } from "../inspect/RoundTripTest.ts"
import { revisionStatuses } from "../inspect/Status.ts"
import { MigratorOptions } from "../MigratorOptions.ts"
import { commandOptions, globalOptions, onDatabase, withHelp } from "./GlobalOptions.ts"

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
      DatabaseError: (cause) => session.refuse(`verifying ${file}`)(cause)
    })
  )

const checksumOf = { applied: "same", edited: "edited", missing: "missing" } as const

const verify = Effect.fn("Migrator.verify")(function* (service: MigratedService) {
  const { entries, session, set } = yield* openSchema(service)
  const files = new Map(set.revisions.map((revision) => [revisionName(revision.number, revision.slug), revision]))
  const revisions = yield* Effect.forEach(
    revisionStatuses(set, entries).filter(({ state }) => state !== "pending" && state !== "late"),
    ({ revision, state }) => {
      const section = Option.flatMap(Option.fromNullable(files.get(revision)), ({ file, verify }) =>
        Option.map(verify, (section) => ({ file, section }))
      )
      const checksum =
        state === "applied" || state === "edited" || state === "missing" ? checksumOf[state] : "partly applied"
      const asked =
        Option.isSome(section) && checksum !== "partly applied"
          ? holds(session, section.value.file, section.value.section)
          : Effect.succeed<AssertionAnswer>({ holds: null, problem: null })
      return Effect.map(asked, (found): RevisionVerification => ({ revision, checksum, ...found }))
    }
  )
  return { service: service.name, address: session.address, revisions }
}, Effect.scoped)

type SchemaVerification = Effect.Effect.Success<ReturnType<typeof verify>>

const render = (found: ReadonlyArray<SchemaVerification>, colours: boolean): string =>
  renderTable(
    ["service", "revision", "file", "assertions"],
    found.flatMap(({ revisions, service }) =>
      revisions.map(
        ({ checksum, holds, revision }): ReadonlyArray<Cell> => [
          { text: service },
          { text: revision },
          { text: checksum === "same" ? "as applied" : checksum, tone: checksum === "same" ? "good" : "bad" },
          holds === null ? { text: "none" } : holds ? { text: "hold", tone: "good" } : { text: "fail", tone: "bad" }
        ]
      )
    ),
    colours
  )

const verdict = ({ revisions, service }: SchemaVerification) => {
  const failed = revisions.filter(({ holds }) => holds === false)
  const edited = revisions.filter(({ checksum }) => checksum === "edited").map(({ revision }) => revision)
  const half = revisions.filter(({ checksum }) => checksum === "partly applied").map(({ revision }) => revision)
  const missing = revisions.filter(({ checksum }) => checksum === "missing").map(({ revision }) => revision)
  const next = `pnpm migrate --service ${service}`
  if (failed.length > 0) {
    const lines = failed.map(({ problem, revision }) => `  ${revision}: ${problem}`)
    return {
      message:
        `${service}: assertions of applied revisions do not hold:\n${lines.join("\n")}\n` +
        `If a later revision changed that on purpose, the assertion is out of date; otherwise see: ${next} show <revision>`,
      exitCode: ExitCode.failed
    }
  }
  if (edited.length > 0) {
    return {
      message:
        `${service}: files of applied revisions were edited: ${edited.join(", ")}. Restore them (git checkout), or accept ` +
        `them: ${next} repair --accept-checksum ${edited[0]} --reason "<why>"`,
      exitCode: ExitCode.checksum
    }
  }
  if (half.length > 0) {
    return {
      message: `${service}: ${half.join(", ")} is partly applied. To see the remedies: ${next} repair`,
      exitCode: ExitCode.partlyApplied
    }
  }
  return missing.length > 0
    ? {
        message: `${service}: files of applied revisions are missing: ${missing.join(", ")}. Run the newer version, or see: ${next} status`,
        exitCode: ExitCode.databaseAhead
      }
    : null
}

export const verifyCommand = Command.make("verify", globalOptions, (inner) =>
  Effect.flatMap(commandOptions(inner), (options) =>
    onDatabase(options, { command: "verify", effects: "reads", work: verify, render, verdict })
  )
).pipe(
  withHelp(
    "Runs the assertions (migrate:verify) of every applied revision again, read-only, and compares all checksums.",
    ["migrate verify", "migrate verify --service gatekeeper --json"]
  )
)

const failed = ({ afterDown, afterSecondUp }: RevisionRoundTrip): boolean => afterDown.length + afterSecondUp.length > 0

const renderTrips = (trials: ReadonlyArray<RoundTripTest>, colours: boolean): string =>
  renderTable(
    ["service", "revision", "up, down, up"],
    trials.flatMap(({ revisions, service }) =>
      revisions.map(
        (one): ReadonlyArray<Cell> => [
          { text: service },
          { text: one.revision },
          one.irreversible !== null
            ? { text: `up only; irreversible: ${one.irreversible}`, tone: "warn" }
            : failed(one)
              ? { text: "not reversible", tone: "bad" }
              : { text: "reversible", tone: "good" }
        ]
      )
    ),
    colours
  )

const lines = (differences: ReadonlyArray<CatalogDifference>): string =>
  differences.map((one) => `    ${showDifference(one).replaceAll("\n", "\n    ")}`).join("\n")

const tripVerdict = ({ revisions, service }: RoundTripTest) => {
  const problems = revisions.flatMap(({ afterDown, afterSecondUp, revision }) => [
    ...(afterDown.length === 0
      ? []
      : [
          `  ${revision}: its down does not revert its up (+ left behind, - removed too much, ~ changed):\n${lines(afterDown)}`
        ]),
    ...(afterSecondUp.length === 0
      ? []
      : [`  ${revision}: up after down differs from the first up:\n${lines(afterSecondUp)}`])
  ])
  return problems.length === 0
    ? null
    : {
        message:
          `${service}: not reversible:\n${problems.join("\n")}\n` +
          `Correct the down script, then: pnpm migrate --service ${service} test`,
        exitCode: ExitCode.failed
      }
}

export const testCommand = Command.make("test", globalOptions, (inner) =>
  Effect.flatMap(commandOptions(inner), (options) =>
    onDatabase(options, { command: "test", work: testRoundTrips, render: renderTrips, verdict: tripVerdict })
  )
).pipe(
  withHelp(
    "Applies, reverts and applies every revision again in a scratch database beside the configured one, and compares the " +
      "catalogs. The role must be allowed to create databases.",
    ["migrate test", "migrate test --service router", "migrate test --json"]
  )
)
