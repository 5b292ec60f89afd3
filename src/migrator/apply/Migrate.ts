import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { ServiceName } from "../../domain/Service.ts"
import { Database } from "../../platform/postgres/Database.ts"
import { requireRunnable } from "../files/RevisionCheck.ts"
import { headOf, loadRevisionSet, type MigratedService } from "../files/RevisionSet.ts"
import { type HistoryEntry, makeMigrationHistory } from "../history/MigrationHistory.ts"
import { MigratorOptions, toolVersion } from "../MigratorOptions.ts"
import { nameOf } from "../plan/HistoryMismatch.ts"
import * as Plan from "../plan/Plan.ts"
import type { Target } from "../plan/Target.ts"
import { VersionRow, versionQuery } from "../SchemaVersion.ts"
import { loadModules } from "./DataStep.ts"
import { refuseLosses } from "./LossCheck.ts"
import { makeNoticeLog, type NoticeLog } from "./Notices.ts"
import type { SchemaInspection } from "./SchemaInspection.ts"
import { knownEntries, lockSchema } from "./SchemaLock.ts"
import { refuseNewerSyntax } from "./ServerSyntax.ts"
import { type MigrationSession, openSession } from "./Session.ts"
import { directionOf, nameOfStep, sectionsOfStep } from "./StepContext.ts"
import { runStep } from "./StepRunner.ts"
import { requireAdopted } from "./UnadoptedSchema.ts"

const keyOfStep = (step: Plan.Step): string => `${directionOf(step)} ${nameOfStep(step)}`

/** Opens a session and reads files and history, without the lock. A start passes the `inspection` that has read them. */
export const openSchema = Effect.fn("Migrator.open")(function* (
  service: MigratedService,
  inspection?: SchemaInspection
) {
  const set = inspection?.set ?? (yield* loadRevisionSet(service))
  const session = yield* openSession(service.name)
  const history = makeMigrationHistory(service.name, session.connection, yield* MigratorOptions)
  const snapshot =
    inspection?.snapshot ?? (yield* Effect.mapError(history.read, session.refuse("reading the migration history")))
  return { set, session, history, snapshot, entries: yield* knownEntries(service.name, snapshot) }
})

/** The files, the session and the history of one service: what every command works with. */
type OpenSchema = Effect.Effect.Success<ReturnType<typeof openSchema>>

/** What `runPlan` needs of `lockSchema`; `entries` are the history before the plan. */
export type LockedSchema = Pick<
  Effect.Effect.Success<ReturnType<typeof lockSchema<OpenSchema>>>,
  "entries" | "history" | "lock" | "service" | "session"
>

/** The revision that a plan leads to; for one that goes back and forward again (`redo`), the revision that it goes back to. */
const goalOf = (plan: Plan.Plan, history: ReadonlyArray<HistoryEntry>): string => {
  const last = plan.steps.findLast(({ _tag }) => _tag === "Revert") ?? plan.steps.at(-1)
  return last === undefined ? plan.current : Plan.currentAfter(last, history)
}

const decodeVersion = Schema.decodeUnknown(Schema.NonEmptyArray(VersionRow))

/** Reads back which revision `schema_version` shows once `plan` is done. */
const outcomeOf = ({ session, set }: OpenSchema, plan: Plan.Plan, notices: NoticeLog) =>
  session.connection.query(versionQuery(set.service)).pipe(
    Effect.mapError(session.refuse("reading schema_version back")),
    Effect.flatMap(({ rows }) => Effect.orDie(decodeVersion(rows))),
    Effect.map(([version]) => ({
      service: set.service,
      from: plan.current,
      to: version.name,
      head: headOf(set).name,
      steps: plan.steps.map((step) => ({ direction: directionOf(step), revision: nameOfStep(step) })),
      ahead: plan.ahead.map(nameOf),
      /** What the server said while the steps ran, at most 1 000. */
      notices: notices.all(),
      address: session.address
    }))
  )

/** What a run did. */
export type MigrationOutcome = Effect.Effect.Success<ReturnType<typeof outcomeOf>>

/** Refuses what can be known to fail before the first step runs. `unchecked` are the steps whose sections were not checked yet. */
export const prepareSteps = Effect.fnUntraced(function* (
  session: MigrationSession,
  service: ServiceName,
  steps: ReadonlyArray<Plan.Step>,
  unchecked: ReadonlyArray<Plan.Step>
) {
  yield* loadModules(steps)
  yield* requireRunnable(service, unchecked.flatMap(sectionsOfStep))
  yield* refuseNewerSyntax(service, (yield* Database).url(service, "migration"), session, steps)
})

/** Runs the steps of a plan under the lock; the caller has prepared them. */
export const runPlan = Effect.fnUntraced(function* (
  { entries, history, lock, service, session }: LockedSchema,
  plan: Plan.Plan,
  notices: NoticeLog
) {
  const goal = goalOf(plan, entries)
  const options = yield* MigratorOptions
  const url = (yield* Database).url(service, "migration")
  const reset = session.reset.pipe(Effect.mapError(session.refuse("resetting the session")))
  let current = plan.current
  for (const [index, step] of plan.steps.entries()) {
    const downgrade = { service, goal, current: index > 0 ? current : null }
    if (index > 0 && step._tag === "Revert") {
      // An earlier step may have moved rows, or have taken so long that rows were added.
      yield* reset
      yield* refuseLosses(session, [step], downgrade)
    }
    yield* runStep({ service, session, lock, history, options, url, notices, current, downgrade }, step)
    current = Plan.currentAfter(step, entries)
  }
  yield* reset
})

/**
 * Brings a service's schema to `target`.
 *
 * The first look is without the lock, so that a run with nothing to do does not wait for another. The history is read again
 * under the lock, since another process may have done the work. A start passes the `inspection` that it has made already.
 */
export const migrate = Effect.fn("Migrator.migrate")(function* (
  service: MigratedService,
  target: Target,
  inspection?: SchemaInspection
) {
  const { name } = service
  const notices = yield* makeNoticeLog
  const opened = yield* openSchema(service, inspection)
  const { session, set, snapshot } = opened
  const seen = Plan.make(set, opened.entries, target)
  // A half-way revision may mean that another process is applying it; the lock shows that.
  if (Either.isLeft(seen) && seen.left._tag !== "PartlyApplied") return yield* seen.left
  const upToDate = Option.exists(snapshot, ({ format }) => format === toolVersion)
  if (Either.isRight(seen) && seen.right.steps.length === 0 && upToDate) {
    return yield* outcomeOf(opened, seen.right, notices)
  }
  // Before the lock, which others would wait for meanwhile, and before the history tables are made.
  const checked = Either.isRight(seen) ? seen.right.steps : []
  yield* requireRunnable(name, checked.flatMap(sectionsOfStep))

  const locked = yield* lockSchema(opened)
  const plan = yield* Plan.make(set, locked.entries, target)
  const known = new Set(checked.map(keyOfStep))
  const later = plan.steps.filter((step) => !known.has(keyOfStep(step)))
  yield* prepareSteps(session, name, plan.steps, later)
  yield* refuseLosses(session, plan.steps, { service: name, goal: goalOf(plan, locked.entries), current: null })
  yield* runPlan(locked, plan, notices)
  return yield* outcomeOf(opened, plan, notices)
}, Effect.scoped)

/** Plans a run without the lock, and fails if it would be refused: a check of every service before the first one changes. */
export const preview = Effect.fn("Migrator.preview")(function* (service: MigratedService, target: Target) {
  const opened = yield* openSchema(service)
  const { entries, session, set } = opened
  yield* requireAdopted(opened)
  const plan = yield* Plan.make(set, entries, target)
  yield* requireRunnable(service.name, plan.steps.flatMap(sectionsOfStep))
  yield* refuseNewerSyntax(service.name, (yield* Database).url(service.name, "migration"), session, plan.steps)
  yield* refuseLosses(session, plan.steps, { service: service.name, goal: goalOf(plan, entries), current: null })
  return plan
}, Effect.scoped)
