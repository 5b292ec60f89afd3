import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../../audit/AuditLog.ts"
import { noStops, Stops } from "../../clients/Stops.ts"
import { type CommandError, type OutputFlags, runCommand, type Verdict } from "../../platform/cli/CommandRunner.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { type Cell, renderTable } from "../../platform/cli/Table.ts"
import { withProgress } from "../../platform/cli/TerminalText.ts"
import { distinctly } from "../../platform/config/LookAlikes.ts"
import type { Database } from "../../platform/postgres/Database.ts"
import { isoOfSeconds } from "../certificates/CertificateRow.ts"
import { Certificates } from "../certificates/Certificates.ts"
import { SigningKeys } from "../certificates/SigningKeys.ts"
import { guardianSchema } from "../GuardianSchema.ts"
import { certificateFiles, type ImportRequest, type ImportResult, importCertificates } from "./CertificateImport.ts"

const tones: Readonly<Record<ImportResult["outcome"], NonNullable<Cell["tone"]>>> = {
  imported: "good",
  resigned: "good",
  accepted: "good",
  present: "quiet",
  refused: "bad"
}

const isoOrNull = ({ expiresAt }: ImportResult): string | null => (expiresAt === null ? null : isoOfSeconds(expiresAt))

const reasonText = ({ looksLike, reason }: ImportResult): string =>
  [reason ?? [], looksLike.length === 0 ? [] : `looks like ${looksLike.map(distinctly).join(", ")}`].flat().join("; ")

const renderImport = (results: ReadonlyArray<ImportResult>, colours: boolean): string => {
  if (results.length === 0) return "The directory has no .json files."
  const table = renderTable(
    ["file", "outcome", "agent", "expires at", "reason"],
    results.map((result) => [
      { text: result.file },
      { text: result.outcome, tone: tones[result.outcome] },
      { text: result.agent ?? "-" },
      { text: isoOrNull(result) ?? "-" },
      { text: reasonText(result), ...(result.looksLike.length === 0 ? {} : { tone: "warn" as const }) }
    ]),
    colours
  )
  const counts = Object.keys(tones).flatMap((outcome) => {
    const count = results.filter((result) => result.outcome === outcome).length
    return count === 0 ? [] : [`${count} ${outcome}`]
  })
  return `${table}\n\n${counts.join(", ")}`
}

const importVerdict = (results: ReadonlyArray<ImportResult>): Verdict | null => {
  const refused = results.filter(({ outcome }) => outcome === "refused")
  return refused.length === 0
    ? null
    : {
        error: "FilesRefused",
        message: `${refused.length} of ${results.length} files were refused, ${refused[0]?.file} first: ${refused[0]?.reason}`,
        exitCode: ExitCode.filesRefused
      }
}

const importJson = (result: ImportResult) => {
  const { agent, file, id, looksLike, outcome, reason } = result
  return { file, outcome, agent, id, expires_at: isoOrNull(result), reason, looks_like: looksLike }
}

/** A dry run records nothing: it neither opens a journal nor migrates a schema. */
const nothingToRecord = Layer.succeed(AuditLog, {
  record: () => Effect.dieMessage("a dry run records nothing"),
  withdraw: () => Effect.void,
  accepting: Effect.succeed(false),
  status: Effect.dieMessage("a dry run has no trail")
})

/**
 * Runs `certificate import`: migrates the schema as the service does, and records each certificate in `trail`. The directory is read
 * first, so that a misspelt one changes nothing.
 */
export const runImport = <E extends CommandError, R, E2 extends CommandError, R2>(
  database: Layer.Layer<Database, E, R>,
  trail: Layer.Layer<AuditLog, E2, R2>,
  given: ImportRequest & OutputFlags
) =>
  runCommand({
    ...given,
    command: "certificate import",
    work: Effect.flatMap(certificateFiles(given.directory), (names) =>
      withProgress("Importing certificates", importCertificates(given, names)).pipe(
        Effect.provide(Certificates.layer),
        Effect.provide(SigningKeys.layer),
        // It asks for no certificate in force.
        Effect.provideService(Stops, noStops),
        (work) =>
          given.dryRun
            ? Effect.provide(work, nothingToRecord)
            : Effect.provide(work, Layer.provideMerge(trail, guardianSchema.layer)),
        Effect.provide(database)
      )
    ),
    render: renderImport,
    toJson: (results) => ({ directory: given.directory, dry_run: given.dryRun, files: results.map(importJson) }),
    verdict: importVerdict,
    exitCodes: { JournalInUse: ExitCode.journalInUse }
  })
