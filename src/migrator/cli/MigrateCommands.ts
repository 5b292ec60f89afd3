import * as Args from "@effect/cli/Args"
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
import { tableOf } from "../../platform/cli/Table.ts"
import { Settings } from "../../platform/config/Settings.ts"
import { grantGroupAfter } from "../apply/Grants.ts"
import { type MigrationOutcome, migrate, preview } from "../apply/Migrate.ts"
import { renderScript } from "../apply/OfflineScript.ts"
import type { MigratedService } from "../files/RevisionSet.ts"
import { withMigratorOptions } from "../MigratorOptions.ts"
import { parseDowngrade, parseUpgrade, Target } from "../plan/Target.ts"
import { dryRun, renderDryRuns } from "./DryRun.ts"
import {
  type CommandOptions,
  type Destination,
  describedFlag,
  misplaced,
  onDatabase,
  subcommand,
  targetArgument,
  withLimits
} from "./GlobalOptions.ts"

/** Prints the scripts of all named services (`--sql`), or none if one fails. Opens no database. */
const printScript = (options: CommandOptions, from: Target, to: Target, refusal: CommandRefused | null) =>
  runForEachService(
    {
      ...options,
      allOrNothing: true,
      work: (service) => renderScript(service, from, to),
      render: (scripts) => scripts.map(({ script }) => script).join("\n\n"),
      refusal
    },
    withLimits(options)
  )

/** Formats what each run did. */
const renderOutcomes = tableOf(
  ["service", "from", "to", "steps", ""],
  ({ ahead, from, head, service, steps, to }: MigrationOutcome) => {
    const position = ahead.length > 0 ? `ahead of head ${head}` : to === head ? "(head)" : `head is ${head}`
    return [[service, from, { text: to, tone: to === head ? "good" : "warn" }, String(steps.length), position]]
  }
)

/** Migrates each service with `work`, after `before`; with `--dry-run` it only shows the way to `to`. */
const runOrShow = <E extends CommandError, R>(
  options: CommandOptions,
  to: Target,
  refusal: CommandRefused | null,
  work: (service: MigratedService) => Effect.Effect<MigrationOutcome, E, R>,
  before?: Effect.Effect<unknown, E, R>
) =>
  options.dryRun
    ? onDatabase(options, { refusal, effects: "reads", work: (service) => dryRun(service, to), render: renderDryRuns })
    : onDatabase(
        options,
        { refusal, work, render: renderOutcomes, toJson: ({ service, ...outcome }) => outcome },
        before
      )

/** Upgrades the services to `to`, one after the other, or shows how it would (`--dry-run`, `--sql`). */
export const upgrade = (options: CommandOptions, { from, to }: Destination) => {
  const refusal = misplaced(options, { from, to })
  return options.sql
    ? printScript(
        options,
        Option.getOrElse(from, () => Target.DownTo({ number: 0, slug: null })),
        to,
        refusal
      )
    : runOrShow(options, to, refusal, (service) => Effect.zipLeft(migrate(service, to), grantGroupAfter(service.name)))
}

/** The target of `migrate` without a command. */
export const toHead: Destination = { from: Option.none(), to: Target.Head() }

const upgradeTarget = targetArgument(parseUpgrade, "head, +N, or a revision such as 2 or 0002_add_reason")

export const upgradeCommand = subcommand(
  "upgrade",
  { to: Args.withDefault(upgradeTarget, toHead) },
  [
    "Applies revisions up to the target (default head).",
    [
      "migrate upgrade",
      "migrate upgrade --dry-run",
      "migrate upgrade --service router +1",
      "migrate upgrade --service router 0002 --lock-timeout 5s",
      "migrate upgrade --service router --sql 0001:head"
    ]
  ],
  (options, { to }) => upgrade(options, to)
)

/** Migrates after a check that no service would be refused, before the first one changes. */
const migrateChecked = (options: CommandOptions, to: Target, refusal: CommandRefused | null, checked = options) =>
  runOrShow(
    options,
    to,
    refusal,
    (service) => migrate(service, to),
    Effect.forEach(checked.services, (service) => preview(service, to), { discard: true })
  )

/** Downgrades services that call others first. */
const downgrade = (options: CommandOptions, { from, to }: Destination) => {
  const refusal = misplaced(options, { from, to })
  const backwards: CommandOptions = { ...options, services: [...options.services].reverse() }
  if (!options.sql) return migrateChecked(backwards, to, refusal, options)
  return Option.match(from, {
    onNone: () =>
      printScript(
        backwards,
        to,
        to,
        wrongUsage("a script cannot read the current revision; name it: downgrade --sql head:base")
      ),
    onSome: (start) => printScript(backwards, start, to, refusal)
  })
}

/** The names of the chosen services, for a question. */
const namesOf = ({ services }: CommandOptions): string => services.map(({ name }) => name).join(", ")

/** Whether data may be destroyed. On a terminal the command also asks. */
const allowDataLoss = describedFlag(
  "allow-data-loss",
  "Continue even if a down script drops tables or columns that hold data. Without it that is refused."
)

const downgradeTarget = targetArgument(
  parseDowngrade,
  "base, -N, or the revision to go back to, such as 1 or 0001_audit_trail"
)

export const downgradeCommand = subcommand(
  "downgrade",
  { allowDataLoss, to: downgradeTarget },
  [
    "Reverts revisions, newest first, until the target is the current one. Refuses to destroy data by default.",
    [
      "migrate downgrade -1 --service gatekeeper",
      "migrate downgrade --service router 0001 --dry-run",
      "migrate downgrade base --allow-data-loss",
      "migrate downgrade --service router --sql 0002:0001"
    ]
  ],
  (options, { allowDataLoss, to }) =>
    Effect.gen(function* () {
      if (allowDataLoss && !options.dryRun && !options.sql) {
        const question = `Downgrade ${namesOf(options)} and permanently lose the data that the down scripts drop?`
        yield* confirmed(options, question)
      }
      yield* downgrade(options, to).pipe(withMigratorOptions({ allowDataLoss }))
    })
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

export const redoCommand = subcommand(
  "redo",
  { allowDataLoss, count },
  [
    "Reverts the newest revisions and applies them again, to test a revision during development. Not in production.",
    ["migrate redo --service router", "migrate redo 2 --service gatekeeper --allow-data-loss"]
  ],
  (options, { allowDataLoss, count }) =>
    Effect.gen(function* () {
      const { environment } = yield* Settings
      const refused = environment === "production" ? production : null
      if (allowDataLoss && !options.dryRun && refused === null) {
        yield* confirmed(options, `Redo ${count} of ${namesOf(options)} and lose the data that the down scripts drop?`)
      }
      yield* migrateChecked(options, Target.Redo({ count }), refused).pipe(withMigratorOptions({ allowDataLoss }))
    })
)
