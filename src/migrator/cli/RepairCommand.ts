import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type CommandRefused, type ServiceVerdict, wrongUsage } from "../../platform/cli/CommandRunner.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { flag } from "../../platform/cli/Flags.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import { parseUpgrade } from "../plan/Target.ts"
import { type Diagnosis, diagnose } from "../recover/Diagnosis.ts"
import { Repair, type RepairOutcome, repair } from "../recover/Repair.ts"
import { onDatabase } from "./DatabaseCommand.ts"
import { commandOptions, globalOptions, reason } from "./GlobalOptions.ts"

const repairOptions = {
  retry: flag("retry").pipe(
    Options.withDescription(
      "Drop the invalid index that the failed statement left, run the statement again, and continue."
    )
  ),
  markApplied: flag("mark-applied").pipe(
    Options.withDescription("Record the half-way revision as applied, after completing it by hand.")
  ),
  markReverted: flag("mark-reverted").pipe(
    Options.withDescription("Record the half-way revision as not applied, after reverting it by hand.")
  ),
  acceptChecksum: Options.text("accept-checksum").pipe(
    Options.withDescription("Record the edited file of this applied revision as it is now, with its down script."),
    Options.mapEffect((text) => {
      const to = Option.getOrUndefined(parseUpgrade(text))
      return to?._tag === "UpTo"
        ? Effect.succeed(to)
        : Effect.fail(
            ValidationError.invalidValue(HelpDoc.p(`${JSON.stringify(text)} is not a revision such as 0002_add_reason`))
          )
    }),
    Options.optional
  ),
  reason
}

type Chosen = Command.Command.ParseConfig<typeof repairOptions>

/** The requested repair; null to only show the diagnosis. Refuses two repairs, and a change of the history without a reason. */
export const chosenRepair = (chosen: Chosen): Repair | CommandRefused | null => {
  const { acceptChecksum, markApplied, markReverted, reason, retry } = chosen
  const ways = [retry, markApplied, markReverted, Option.isSome(acceptChecksum)].filter(Boolean).length
  if (ways > 1) return wrongUsage("--retry, --mark-applied, --mark-reverted and --accept-checksum exclude each other")
  if (ways === 0) return Option.isSome(reason) ? wrongUsage("--reason needs one of the repair options") : null
  if (retry) return Repair.Retry()
  if (Option.isNone(reason)) return wrongUsage('give a reason for the event log: --reason "<why>"')
  if (markApplied) return Repair.MarkApplied({ reason: reason.value })
  if (markReverted) return Repair.MarkReverted({ reason: reason.value })
  const { number, slug } = Option.getOrThrow(acceptChecksum)
  return Repair.AcceptChecksum({ number, slug, reason: reason.value })
}

const renderDiagnoses = (diagnoses: ReadonlyArray<Diagnosis>): string =>
  diagnoses
    .map(({ current, edited, halfway, invalidIndexes, problem, remedies, service }) => {
      const lines = [
        ...(halfway === null
          ? []
          : [
              `${halfway.revision} stopped while ${halfway.state}, after ${halfway.stepsDone} of ${halfway.stepsTotal} ` +
                `statements${halfway.outcomeUnknown ? "; the outcome of the next one was not recorded" : ""}`
            ]),
        ...edited.map(({ file, revision }) => `${revision} is applied, and ${file} was edited afterwards`),
        ...(invalidIndexes.length === 0 ? [] : [`invalid indexes: ${invalidIndexes.join(", ")}`]),
        ...(problem !== null && halfway === null && edited.length === 0 ? [problem.message] : [])
      ]
      const ways = remedies.map(({ command, does }) => `    ${command}\n      ${does}`)
      const choice = ways.length === 0 ? "" : `\n  remedies:\n${ways.join("\n")}`
      return lines.length === 0
        ? `${service}: nothing to repair, at ${current}`
        : `${service}: at ${current}\n${lines.map((line) => `  ${line}`).join("\n")}${choice}`
    })
    .join("\n\n")

const verdictOf = ({ halfway, problem, service }: Diagnosis): ServiceVerdict | null =>
  problem ??
  (halfway === null
    ? null
    : { message: `${service}: ${halfway.revision} is half-way ${halfway.state}`, exitCode: ExitCode.partlyApplied })

const renderRepaired = (results: ReadonlyArray<RepairOutcome>): string =>
  results.map(({ current, did, revision, service }) => `${service}: ${revision}: ${did}; now at ${current}`).join("\n")

export const repairCommand = Command.make("repair", { ...globalOptions, ...repairOptions }, (all) =>
  Effect.gen(function* () {
    const options = yield* commandOptions(all)
    const way = chosenRepair(all)
    if (way === null) {
      return yield* onDatabase(options, {
        command: "repair",
        effects: "reads",
        work: diagnose,
        render: renderDiagnoses,
        toJson: ({ problem, ...rest }) => ({ ...rest, problem: problem === null ? null : problem.message }),
        verdict: verdictOf
      })
    }
    const refusal =
      way._tag === "CommandRefused"
        ? way
        : options.services.length > 1
          ? wrongUsage("a repair is for one service; name it, for example --service gatekeeper")
          : null
    return yield* onDatabase(options, {
      command: "repair",
      refusal,
      work: (service) => repair(service, way._tag === "CommandRefused" ? Repair.Retry() : way),
      render: renderRepaired
    })
  })
).pipe(
  Command.withDescription(
    helpOf("Shows what is half-way or edited, and the remedies; with one of the options it applies that remedy.", [
      "migrate repair",
      "migrate repair --service router --retry",
      'migrate repair --service router --mark-applied --reason "completed by hand after the disk was full"',
      'migrate repair --service router --accept-checksum 0002_add_reason --reason "only a comment"'
    ])
  )
)
