import * as Args from "@effect/cli/Args"
import type * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type CommandRefused, type ServiceVerdict, wrongUsage } from "../../platform/cli/CommandRunner.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { quotedWord } from "../../platform/cli/Flags.ts"
import { tableOf } from "../../platform/cli/Table.ts"
import { parseUpgrade } from "../plan/Target.ts"
import { type Diagnosis, diagnose } from "../recover/Diagnosis.ts"
import { type RenumberOutcome, renumber } from "../recover/Renumbering.ts"
import { Repair, type RepairOutcome, repair } from "../recover/Repair.ts"
import { type StampOutcome, type StampTarget, stamp } from "../recover/Stamp.ts"
import { type LockState, unlock } from "../recover/Unlock.ts"
import {
  describedFlag,
  needsOneService,
  onDatabase,
  reason,
  refuseSeveral,
  revisionOfOne,
  subcommand,
  withProblemText
} from "./GlobalOptions.ts"

const repairOptions = {
  retry: describedFlag(
    "retry",
    "Drop the invalid index that the failed statement left, run the statement again, and continue."
  ),
  markApplied: describedFlag("mark-applied", "Record the half-way revision as applied, after completing it by hand."),
  markReverted: describedFlag(
    "mark-reverted",
    "Record the half-way revision as not applied, after reverting it by hand."
  ),
  acceptChecksum: Options.text("accept-checksum").pipe(
    Options.withDescription("Record the edited file of this applied revision as it is now, with its down script."),
    Options.mapEffect((text) => {
      const to = Option.getOrUndefined(parseUpgrade(text))
      return to?._tag === "UpTo"
        ? Effect.succeed(to)
        : Effect.fail(
            ValidationError.invalidValue(HelpDoc.p(`${quotedWord(text)} is not a revision such as 0002_add_reason`))
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
    .map(({ current, edited, halfway, invalidIndexes, pendingDetaches, problem, remedies, service }) => {
      const lines = [
        ...(halfway === null
          ? []
          : [
              `${halfway.revision} stopped while ${halfway.state}, after ${halfway.stepsDone} of ${halfway.stepsTotal} ` +
                `statements${halfway.outcomeUnknown ? "; the outcome of the next one was not recorded" : ""}`
            ]),
        ...edited.map(({ file, revision }) => `${revision} is applied, and ${file} was edited afterwards`),
        ...(invalidIndexes.length === 0 ? [] : [`invalid indexes: ${invalidIndexes.join(", ")}`]),
        ...(pendingDetaches.length === 0 ? [] : [`half detached partitions: ${pendingDetaches.join(", ")}`]),
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

export const repairCommand = subcommand(
  "repair",
  repairOptions,
  [
    "Shows what is half-way or edited, and the remedies; with one of the options it applies that remedy.",
    [
      "migrate repair",
      "migrate repair --service router --retry",
      'migrate repair --service router --mark-applied --reason "completed by hand after the disk was full"',
      'migrate repair --service router --accept-checksum 0002_add_reason --reason "only a comment"'
    ]
  ],
  (options, chosen) => {
    const way = chosenRepair(chosen)
    if (way === null) {
      return onDatabase(options, {
        effects: "reads",
        work: diagnose,
        render: renderDiagnoses,
        toJson: withProblemText,
        verdict: verdictOf
      })
    }
    return onDatabase(options, {
      refusal: way._tag === "CommandRefused" ? way : refuseSeveral(options, "a repair is for one service; name it"),
      work: (service) => repair(service, way._tag === "CommandRefused" ? Repair.Retry() : way),
      render: renderRepaired
    })
  }
)

const target = Args.text({ name: "revision" }).pipe(
  Args.withDescription("The revision that the tables are at: head, or one such as 2 or 0002_add_reason."),
  Args.mapEffect((text) => {
    const to = Option.getOrUndefined(parseUpgrade(text))
    return to?._tag === "Head" || to?._tag === "UpTo"
      ? Effect.succeed<StampTarget>(to)
      : Effect.fail(HelpDoc.p(`${quotedWord(text)} is not a revision; expected head, or one such as 0002_add_reason`))
  })
)

const renderStamped = tableOf(
  ["service", "from", "to", "recorded without running"],
  ({ differences, from, revisions, service, to }: StampOutcome) => {
    const but = differences.length === 0 ? "" : `; differences: ${differences.length}`
    const recorded = revisions.length === 0 ? "nothing: it is recorded already" : `${revisions.join(", ")}${but}`
    return [[service, from, { text: to, tone: "good" }, recorded]]
  }
)

const acceptDifferences = describedFlag(
  "accept-differences",
  "Stamp a schema that is not what the revisions make, or that cannot be compared; the event log keeps the differences."
)

export const stampCommand = subcommand(
  "stamp",
  { acceptDifferences, reason, target },
  [
    "Adopts a database that already has the tables: records the revisions up to the named one as applied, and runs none. " +
      "The migrate:verify of each of them must hold, and the schema must be what they make in a scratch database.",
    ['migrate stamp --service router 0001_history --reason "adopted from the old system"']
  ],
  (options, { acceptDifferences, reason, target }) =>
    onDatabase(options, {
      refusal: Option.isNone(reason)
        ? wrongUsage('give a reason for the event log: stamp <revision> --reason "<why>"')
        : needsOneService(options, target),
      work: (service) =>
        stamp(
          service,
          target,
          Option.getOrElse(reason, () => ""),
          { acceptDifferences }
        ),
      render: renderStamped
    })
)

const revision = Args.text({ name: "revision" }).pipe(
  Args.withDescription("The revision to renumber; its full name if two have its number: 0002_add_reason.")
)

const renderRenumbered = (results: ReadonlyArray<RenumberOutcome>): string =>
  results
    .map(
      ({ file, from, left, service, to }) =>
        `${service}: ${from} is ${to} now: ${file}${left === null ? "" : `\n\nstill to fix:\n${left}`}`
    )
    .join("\n")

export const renumberCommand = subcommand(
  "renumber",
  { revision },
  [
    "Gives a revision that was merged late the next free number, by renaming its file. Refuses a revision that is applied " +
      "in the configured database.",
    ["migrate renumber --service gatekeeper 0002_add_reason"]
  ],
  (options, { revision }) =>
    onDatabase(options, {
      refusal: refuseSeveral(options, revisionOfOne),
      work: (service) => renumber(service, revision),
      render: renderRenumbered
    })
)

const pid = Options.integer("pid").pipe(
  Options.withDescription("End this session, if it holds the lock. Its transaction rolls back."),
  Options.optional
)

const renderLocks = tableOf(
  ["service", "lock", "held by", "pid", "role", "since", "state", "statement since"],
  ({ ended, holder, service }: LockState) => {
    if (holder === null) return [[service, { text: "free", tone: "good" }, "", "", "", "", "", ""]]
    const { applicationName, pid, queryStart, since, state, user } = holder
    const facts = [applicationName, String(pid), user, since, state, queryStart].map((text) => text ?? "-")
    return [[service, { text: ended ? "freed" : "held", tone: ended ? "good" : "warn" }, ...facts]]
  }
)

export const unlockCommand = subcommand(
  "unlock",
  { pid },
  [
    "Shows which sessions hold the migration locks. With --pid it ends that session, if it holds the service's lock.",
    ["migrate unlock", "migrate unlock --service router --pid 4711"]
  ],
  (options, { pid }) =>
    onDatabase(options, {
      effects: Option.isSome(pid) ? "writes" : "reads",
      refusal: Option.isSome(pid)
        ? refuseSeveral(options, "--pid ends the holder of one service's lock; name the service")
        : null,
      work: (service) => unlock(service, pid),
      render: renderLocks
    })
)
