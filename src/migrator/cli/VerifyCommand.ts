import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import { type Cell, renderTable } from "../../platform/cli/Table.ts"
import { openSchema } from "../apply/Migrate.ts"
import { readScript, runVerify, setTimeouts } from "../apply/Script.ts"
import type { MigrationSession } from "../apply/Session.ts"
import type { MigratedService } from "../files/MigrationFiles.ts"
import { revisionName, type Section } from "../files/Revision.ts"
import { revisionStatuses } from "../inspect/Status.ts"
import { MigratorOptions } from "../MigratorOptions.ts"
import { onDatabase } from "./DatabaseCommand.ts"
import { commandOptions, globalOptions } from "./GlobalOptions.ts"

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
    const answer: AssertionAnswer = { holds: true, problem: null }
    return answer
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
  Command.withDescription(
    helpOf(
      "Runs the assertions (migrate:verify) of every applied revision again, read-only, and compares all checksums.",
      ["migrate verify", "migrate verify --service gatekeeper --json"]
    )
  )
)
