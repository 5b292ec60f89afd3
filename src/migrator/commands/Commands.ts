import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type ServiceName, serviceNames } from "../../domain/Service.ts"
import type { Database } from "../../platform/Database.ts"
import { parseDuration } from "../../platform/Setting.ts"
import { ExitCode } from "../ExitCode.ts"
import { MigratorOptions } from "../MigratorOptions.ts"
import { Target } from "../plan/Plan.ts"
import { parseDowngrade, parseUpgrade } from "../plan/TargetText.ts"
import { migrate, type Outcome } from "../run/SchemaRun.ts"
import { preview, readStatus } from "../run/Status.ts"
import { type CommandRun, runCommand, type Tagged } from "./CommandRun.ts"
import { checkFiles } from "./OfflineCheck.ts"
import { renderCheck, renderCurrent, renderOutcomes, renderStatus } from "./Rendering.ts"
import { MigrationsFailed } from "./Report.ts"

/** Options that stand before the command's name or after it. */
const shared = {
  service: Options.choice("service", serviceNames).pipe(
    Options.withDescription("Only this service; may be repeated. Default: all."),
    Options.repeated
  ),
  json: Options.boolean("json").pipe(
    Options.withDescription("Print one JSON object on stdout, errors too: { command, exitCode, services: [...] }.")
  ),
  lockWait: Options.text("lock-wait").pipe(
    Options.withDescription("How long to wait for another process that migrates, such as 0s or 5m (default 60s)."),
    Options.mapEffect((text) =>
      Effect.mapError(parseDuration(text), () =>
        ValidationError.invalidValue(
          HelpDoc.p(`--lock-wait ${JSON.stringify(text)} is not a duration such as 90s or 5m`)
        )
      )
    ),
    Options.optional
  )
}

type Shared = Command.Command.ParseConfig<typeof shared>

const merge = (outer: Shared, inner: Shared) => {
  const chosen = new Set([...outer.service, ...inner.service])
  return {
    services: chosen.size === 0 ? serviceNames : serviceNames.filter((service) => chosen.has(service)),
    json: outer.json || inner.json,
    lockWait: Option.orElse(inner.lockWait, () => outer.lockWait)
  }
}
type Given = ReturnType<typeof merge>

const target = (parse: (text: string) => Option.Option<Target>, expected: string) =>
  Args.text({ name: "target" }).pipe(
    Args.withDescription(expected),
    Args.mapEffect((text) =>
      Effect.mapError(parse(text), () => HelpDoc.p(`${JSON.stringify(text)} is no target; expected ${expected}`))
    )
  )

const upgradeTarget = target(parseUpgrade, "head, +N, or a revision such as 2 or 0002_add_reason")
const downgradeTarget = target(parseDowngrade, "base, -N, or the revision to go back to, such as 1 or 0001_audit_trail")

const names = (to: Target): boolean => (to._tag === "UpTo" || to._tag === "DownTo") && to.number > 0

const outcomeJson = ({ address, ahead, from, head, steps, to }: Outcome) => ({ from, to, head, steps, ahead, address })

/**
 * `migrate` and its commands, to be mounted under the program's root. `databaseFor` opens the databases of the services that
 * a command is about; `check` opens none.
 */
export const migrateCommand = <E extends Tagged, R>(
  databaseFor: (services: ReadonlyArray<ServiceName>) => Layer.Layer<Database, E, R>
) => {
  const withDatabase = <A, E2 extends Tagged, R2>(
    { json, lockWait, services }: Given,
    run: Omit<CommandRun<A, E2, R2>, "json" | "services">,
    before: Effect.Effect<unknown, E2, R2> = Effect.void
  ) =>
    Effect.flatMap(MigratorOptions, (defaults) =>
      runCommand({ ...run, json, services }, (all) =>
        Effect.zipRight(before, all).pipe(
          Effect.provideService(MigratorOptions, {
            ...defaults,
            lockWait: Option.getOrElse(lockWait, () => defaults.lockWait)
          }),
          Effect.provide(databaseFor(services))
        )
      )
    )

  const ofOneService = (given: Given, to: Target) =>
    names(to) && given.services.length > 1
      ? new MigrationsFailed({
          messages: ["a revision belongs to one service; say which, for example --service gatekeeper"],
          exitCode: ExitCode.usage
        })
      : Effect.void

  const upgrade = (given: Given, to: Target) =>
    Effect.zipRight(
      ofOneService(given, to),
      withDatabase(given, {
        command: "upgrade",
        work: (service) => migrate(service, to),
        render: renderOutcomes,
        toJson: outcomeJson
      })
    )

  /** The way back is looked at for every service before the first one moves; those that ask others go first. */
  const downgrade = (given: Given, to: Target) =>
    Effect.zipRight(
      ofOneService(given, to),
      withDatabase(
        { ...given, services: [...given.services].reverse() },
        {
          command: "downgrade",
          work: (service) => migrate(service, to),
          render: renderOutcomes,
          toJson: outcomeJson
        },
        Effect.forEach(given.services, (service) => preview(service, to), { discard: true })
      )
    )

  const parent = Command.make("migrate", shared, (outer) => upgrade(merge(outer, outer), Target.Head()))

  const upgradeCommand = Command.make(
    "upgrade",
    { ...shared, to: Args.withDefault(upgradeTarget, Target.Head()) },
    ({ to, ...inner }) => Effect.flatMap(parent, (outer) => upgrade(merge(outer, inner), to))
  ).pipe(
    Command.withDescription(
      "Applies revisions up to the target (default head). Example: migrate upgrade --service router +1"
    )
  )

  const downgradeCommand = Command.make("downgrade", { ...shared, to: downgradeTarget }, ({ to, ...inner }) =>
    Effect.flatMap(parent, (outer) => downgrade(merge(outer, inner), to))
  ).pipe(
    Command.withDescription(
      "Reverts revisions, newest first, until the target is the current one. What a down script drops is gone. " +
        "Examples: migrate downgrade -1 --service gatekeeper · migrate downgrade base"
    )
  )

  const statusCommand = Command.make("status", shared, (inner) =>
    Effect.flatMap(parent, (outer) =>
      withDatabase(merge(outer, inner), {
        command: "status",
        work: readStatus,
        render: renderStatus,
        toJson: ({ problem, ...status }) => ({ ...status, problem: problem === null ? null : problem.message }),
        verdict: ({ problem }) => problem
      })
    )
  ).pipe(
    Command.withDescription(
      "Lists every revision and whether it is applied. Takes no lock. Example: migrate status --json"
    )
  )

  const checkHead = Options.boolean("check-head").pipe(
    Options.withDescription(`End with ${ExitCode.pending} unless every service is at head.`)
  )
  const currentCommand = Command.make("current", { ...shared, checkHead }, ({ checkHead, ...inner }) =>
    Effect.flatMap(parent, (outer) =>
      withDatabase(merge(outer, inner), {
        command: "current",
        work: (service) =>
          Effect.map(readStatus(service), ({ current, head }) => ({
            service,
            current,
            head,
            atHead: current === head
          })),
        render: renderCurrent,
        verdict: ({ atHead, current, head, service }) =>
          checkHead && !atHead
            ? {
                message: `${service} is at ${current}, not at head ${head}. To go there: pnpm migrate --service ${service} upgrade`,
                exitCode: ExitCode.pending
              }
            : null
      })
    )
  ).pipe(Command.withDescription("Prints the current revision of each service. Example: migrate current --check-head"))

  const checkCommand = Command.make("check", shared, (inner) =>
    Effect.flatMap(parent, (outer) => {
      const { json, services } = merge(outer, inner)
      return runCommand({ command: "check", services, json, work: checkFiles, render: renderCheck }, (all) => all)
    })
  ).pipe(
    Command.withDescription(
      "Checks the migration files without a database: names, numbers, markers, downs, syntax by PostgreSQL's own parser."
    )
  )

  return parent.pipe(
    Command.withDescription(
      "Brings the schemas of the services to head (the same as `migrate upgrade`). Examples: migrate · " +
        "migrate status · migrate downgrade -1 --service guardian · migrate upgrade --json"
    ),
    Command.withSubcommands([upgradeCommand, downgradeCommand, statusCommand, currentCommand, checkCommand])
  )
}
