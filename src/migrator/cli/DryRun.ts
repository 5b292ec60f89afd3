import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ServiceName } from "../../domain/Service.ts"
import { Database } from "../../platform/postgres/Database.ts"
import { readLosses } from "../apply/LossCheck.ts"
import { openSchema } from "../apply/Migrate.ts"
import { readAssertions, statementsOf } from "../apply/Script.ts"
import { refuseNewerSyntax } from "../apply/ServerSyntax.ts"
import { directionOf, halfwayOfStep, nameOfStep, sectionOf, sectionsOfStep, sourceOf } from "../apply/StepContext.ts"
import { terminated } from "../apply/Transcript.ts"
import { requireAdopted } from "../apply/UnadoptedSchema.ts"
import { requireRunnable } from "../files/RevisionCheck.ts"
import type { MigratedService } from "../files/RevisionSet.ts"
import { MigratorOptions } from "../MigratorOptions.ts"
import { shownLoss } from "../plan/DestructiveChange.ts"
import * as Plan from "../plan/Plan.ts"
import type { Target } from "../plan/Target.ts"

/** A step as it would run. */
const planned = Effect.fnUntraced(function* (service: ServiceName, step: Plan.Step) {
  const { lockTimeout } = yield* MigratorOptions
  const direction = directionOf(step)
  const section = sectionOf(step)
  const file = sourceOf(step, service)
  const { kind, phase } = step._tag === "Apply" ? step.revision : step.entry
  return {
    direction,
    revision: nameOfStep(step),
    file,
    kind,
    phase,
    transaction: section.transaction,
    lockTimeout: Duration.format(
      Option.getOrElse(section.lockTimeout, () => (section.transaction ? lockTimeout : Duration.zero))
    ),
    /** How many of its statements an earlier run completed. */
    alreadyDone: halfwayOfStep(step)?.steps_done ?? 0,
    /** Null for a data revision, whose statements are known only while it runs. */
    statements: kind === "ts" ? null : yield* statementsOf(file, section, direction),
    verify: (yield* readAssertions(step))?.statements ?? []
  }
})

type PlannedStep = Effect.Effect.Success<ReturnType<typeof planned>>

/** Plans a run without the lock and without writing, so another process may change the result at any time. */
export const dryRun = Effect.fn("Migrator.dryRun")(function* (migrated: MigratedService, target: Target) {
  const opened = yield* openSchema(migrated)
  const { entries, session, set, snapshot } = opened
  yield* requireAdopted(opened)
  const service = migrated.name
  const plan = yield* Plan.make(set, entries, target)
  yield* requireRunnable(service, plan.steps.flatMap(sectionsOfStep))
  yield* refuseNewerSyntax(service, (yield* Database).url(service, "migration"), session, plan.steps)
  const steps = yield* Effect.forEach(plan.steps, (step) => planned(service, step))
  const last = plan.steps.at(-1)
  return {
    service,
    address: session.address,
    from: plan.current,
    to: last === undefined ? plan.current : Plan.currentAfter(last, entries),
    /** The history tables do not exist yet and would be created first. */
    prepares: Option.isNone(snapshot),
    steps,
    /** What the downgrade would destroy; without `--allow-data-loss` it is refused. */
    losses: yield* Effect.mapError(
      readLosses(session.connection, plan.steps),
      session.refuse("counting what the downgrade would destroy")
    )
  }
}, Effect.scoped)

type DryRun = Effect.Effect.Success<ReturnType<typeof dryRun>>

const renderStep = (step: PlannedStep): string => {
  const { alreadyDone, direction, file, lockTimeout, phase, revision, statements, transaction, verify } = step
  const how = transaction ? "in one transaction" : "without a transaction"
  const waits = lockTimeout === "0" ? "waits for locks without a limit" : `lock_timeout ${lockTimeout}`
  const done =
    alreadyDone === 0 ? "" : `\n-- ${alreadyDone} of its statements are done already; it continues after them`
  const body =
    statements === null
      ? ["-- a data revision: its statements are known only while it runs"]
      : statements.map(({ text }) => terminated(text))
  const assertions = verify.length === 0 ? [] : ["-- then, read-only:", ...verify.map(({ text }) => terminated(text))]
  return [`-- ${direction} ${revision} (${phase}, ${how}, ${waits}): ${file}${done}`, ...body, ...assertions].join("\n")
}

/** Formats dry runs as SQL with comments, without the statements of the history itself. */
export const renderDryRuns = (runs: ReadonlyArray<DryRun>): string =>
  runs
    .map(({ address, from, losses, prepares, service, steps, to }) => {
      const way = steps.length === 0 ? `stays at ${from}: nothing to do` : `would go from ${from} to ${to}`
      const first = prepares
        ? `\n-- first the schema ${service}, if it is missing, and the history tables would be created`
        : ""
      const lost = losses
        .map((loss) => `\n-- destroys data and is refused without --allow-data-loss: ${shownLoss(loss)}`)
        .join("")
      return [`-- ${service} ${way} (${address}); nothing was run${first}${lost}`, ...steps.map(renderStep)].join(
        "\n\n"
      )
    })
    .join("\n\n")
