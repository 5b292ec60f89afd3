import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import {
  type CommandError,
  type CommandRefused,
  confirmed,
  refusal,
  runForEachService,
  wrongUsage
} from "../../platform/cli/CommandRunner.ts"
import { renderTable } from "../../platform/cli/Table.ts"
import { Settings } from "../../platform/config/Settings.ts"
import { grantGroupAfter } from "../apply/Grants.ts"
import { type MigrationOutcome, migrate, preview } from "../apply/Migrate.ts"
import { renderScript } from "../apply/OfflineScript.ts"
import type { MigratedService } from "../files/RevisionSet.ts"
import { MigratorOptions } from "../MigratorOptions.ts"
import { parseDowngrade, parseUpgrade, Target } from "../plan/Target.ts"
import { dryRun, renderDryRuns } from "./DryRun.ts"
import {
  type CommandOptions,
  commandOptions,
  type Destination,
  describedFlag,
  globalOptions,
  misplaced,
  onDatabase,
  targetArgument,
  withHelp
} from "./GlobalOptions.ts"

/** Prints the scripts of all named services (`--sql`), or none if one fails. Opens no database. */
const printScript = (
  options: CommandOptions,
  command: string,
  from: Target,
  to: Target,
  refusal: CommandRefused | null
) =>
  Effect.flatMap(MigratorOptions, (defaults) => {
    const { json, lockTimeout, noColor, services } = options
    return runForEachService(
      {
        command,
        services,
        json,
        noColor,
        allOrNothing: true,
        work: (service) => renderScript(service, from, to),
        render: (scripts) => scripts.map(({ script }) => script).join("\n\n"),
        refusal
      },
      Effect.provideService(MigratorOptions, {
        ...defaults,
        lockTimeout: Option.getOrElse(lockTimeout, () => defaults.lockTimeout)
      })
    )
  })

/** Formats what each run did. */
const renderOutcomes = (outcomes: ReadonlyArray<MigrationOutcome>, colours: boolean): string =>
  renderTable(
    ["service", "from", "to", "steps", ""],
    outcomes.map(({ ahead, from, head, service, steps, to }) => [
      { text: service },
      { text: from },
      { text: to, tone: to === head ? "good" : "warn" },
      { text: String(steps.length) },
      { text: ahead.length > 0 ? `ahead of head ${head}` : to === head ? "(head)" : `head is ${head}` }
    ]),
    colours
  )

/** Migrates each service with `work`, after `before`; with `--dry-run` it only shows the way to `to`. */
const runOrShow = <E extends CommandError, R>(
  options: CommandOptions,
  run: { readonly command: string; readonly refusal: CommandRefused | null; readonly to: Target },
  work: (service: MigratedService) => Effect.Effect<MigrationOutcome, E, R>,
  before?: Effect.Effect<unknown, E, R>
) => {
  const { command, refusal, to } = run
  return options.dryRun
    ? onDatabase(options, {
        command,
        refusal,
        effects: "reads",
        work: (service) => dryRun(service, to),
        render: renderDryRuns
      })
    : onDatabase(
        options,
        { command, refusal, work, render: renderOutcomes, toJson: ({ service, ...outcome }) => outcome },
        before
      )
}

/** Upgrades the services to `to`, one after the other, or shows how it would (`--dry-run`, `--sql`). */
export const upgrade = (options: CommandOptions, { from, to }: Destination) => {
  const refusal = misplaced(options, { from, to })
  const command = "upgrade"
  if (options.sql) {
    const start = Option.getOrElse(from, () => Target.DownTo({ number: 0, slug: null }))
    return printScript(options, command, start, to, refusal)
  }
  return runOrShow(options, { command, refusal, to }, (service) =>
    Effect.zipLeft(migrate(service, to), grantGroupAfter(service.name))
  )
}

/** The target of `migrate` without a command. */
export const toHead: Destination = { from: Option.none(), to: Target.Head() }

const upgradeTarget = targetArgument(parseUpgrade, "head, +N, or a revision such as 2 or 0002_add_reason")

export const upgradeCommand = Command.make(
  "upgrade",
  { ...globalOptions, to: Args.withDefault(upgradeTarget, toHead) },
  ({ to, ...inner }) => Effect.flatMap(commandOptions(inner), (options) => upgrade(options, to))
).pipe(
  withHelp("Applies revisions up to the target (default head).", [
    "migrate upgrade",
    "migrate upgrade --dry-run",
    "migrate upgrade --service router +1",
    "migrate upgrade --service router 0002 --lock-timeout 5s",
    "migrate upgrade --service router --sql 0001:head"
  ])
)

/** Checks the downgrade of every service before the first one changes. Services that call others are downgraded first. */
const downgrade = (options: CommandOptions, { from, to }: Destination) => {
  const refusal = misplaced(options, { from, to })
  const command = "downgrade"
  const backwards: CommandOptions = { ...options, services: [...options.services].reverse() }
  if (options.sql) {
    return Option.match(from, {
      onNone: () =>
        printScript(
          backwards,
          command,
          to,
          to,
          wrongUsage("a script cannot read the current revision; name it: downgrade --sql head:base")
        ),
      onSome: (start) => printScript(backwards, command, start, to, refusal)
    })
  }
  return runOrShow(
    backwards,
    { command, refusal, to },
    (service) => migrate(service, to),
    Effect.forEach(options.services, (service) => preview(service, to), { discard: true })
  )
}

/** The names of the chosen services, for a question. */
const namesOf = ({ services }: CommandOptions): string => services.map(({ name }) => name).join(", ")

/** Whether data may be destroyed. On a terminal the command also asks. */
const allowDataLoss = describedFlag(
  "allow-data-loss",
  "Continue even if a down script drops tables or columns that hold data. Without it that is refused."
)

/** Runs `effect` with `allowDataLoss` set to `allowed`. */
const mayLoseData = <A, E, R>(allowed: boolean, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(MigratorOptions, (options) =>
    Effect.provideService(effect, MigratorOptions, { ...options, allowDataLoss: allowed })
  )

const downgradeTarget = targetArgument(
  parseDowngrade,
  "base, -N, or the revision to go back to, such as 1 or 0001_audit_trail"
)

export const downgradeCommand = Command.make(
  "downgrade",
  { ...globalOptions, allowDataLoss, to: downgradeTarget },
  ({ allowDataLoss, to, ...inner }) =>
    Effect.gen(function* () {
      const options = yield* commandOptions(inner)
      if (allowDataLoss && !options.dryRun && !options.sql) {
        yield* confirmed(
          options,
          `Downgrade ${namesOf(options)} and permanently lose the data that the down scripts drop?`
        )
      }
      yield* mayLoseData(allowDataLoss, downgrade(options, to))
    })
).pipe(
  withHelp(
    "Reverts revisions, newest first, until the target is the current one. Refuses to destroy data by default.",
    [
      "migrate downgrade -1 --service gatekeeper",
      "migrate downgrade --service router 0001 --dry-run",
      "migrate downgrade base --allow-data-loss",
      "migrate downgrade --service router --sql 0002:0001"
    ]
  )
)

const production = refusal(
  "redo reverts revisions to apply them again, which is for development only, and NODE_ENV is production; nothing was run. " +
    "To downgrade on purpose: pnpm migrate downgrade -1 --service <service>"
)

const count = Args.integer({ name: "N" }).pipe(
  Args.withDescription("How many revisions, from the newest (default 1)."),
  Args.mapEffect((count) =>
    count >= 1 && count <= 9_999
      ? Effect.succeed(count)
      : Effect.fail(HelpDoc.p(`${count} is not a number of revisions from 1 to 9999`))
  ),
  Args.withDefault(1)
)

export const redoCommand = Command.make(
  "redo",
  { ...globalOptions, allowDataLoss, count },
  ({ allowDataLoss, count, ...inner }) =>
    Effect.gen(function* () {
      const options = yield* commandOptions(inner)
      const { environment } = yield* Settings
      const target = Target.Redo({ count })
      const refused = environment === "production" ? production : null
      if (allowDataLoss && !options.dryRun && refused === null) {
        yield* confirmed(options, `Redo ${count} of ${namesOf(options)} and lose the data that the down scripts drop?`)
      }
      const all = runOrShow(
        options,
        { command: "redo", refusal: refused, to: target },
        (service) => migrate(service, target),
        Effect.forEach(options.services, (service) => preview(service, target), { discard: true })
      )
      yield* mayLoseData(allowDataLoss, all)
    })
).pipe(
  withHelp(
    "Reverts the newest revisions and applies them again, to test a revision during development. Not in production.",
    ["migrate redo --service router", "migrate redo 2 --service gatekeeper --allow-data-loss"]
  )
)
