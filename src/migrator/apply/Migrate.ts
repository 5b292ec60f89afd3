import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { ServiceName } from "../../domain/Service.ts"
import { Database } from "../../platform/postgres/Database.ts"
import { loadRevisionSet } from "../files/MigrationFiles.ts"
import { revisionName } from "../files/Revision.ts"
import { headOf, type RevisionSet } from "../files/RevisionSet.ts"
import {
  type HistoryEntry,
  type HistorySnapshot,
  type MigrationHistory,
  makeMigrationHistory
} from "../history/MigrationHistory.ts"
import { MigratorOptions, toolVersion } from "../MigratorOptions.ts"
import * as Plan from "../plan/Plan.ts"
import type { Target } from "../plan/Target.ts"
import { VersionRow, versionQuery } from "../SchemaVersion.ts"
import { loadModules } from "./DataStep.ts"
import { knownEntries, lockSchema } from "./LockedSchema.ts"
import { refuseLosses } from "./LossCheck.ts"
import { type MigrationSession, openSession } from "./Session.ts"
import { refOf } from "./StepContext.ts"
import { runStep } from "./StepRunner.ts"

/** What a run did. */
export interface MigrationOutcome {
  readonly service: ServiceName
  readonly from: string
  readonly to: string
  readonly head: string
  readonly steps: ReadonlyArray<{ readonly direction: "up" | "down"; readonly revision: string }>
  readonly ahead: ReadonlyArray<string>
  readonly address: string
  readonly version: VersionRow
}

/** One service's files, session and history: what every command works with. */
export interface OpenSchema {
  readonly set: RevisionSet
  readonly session: MigrationSession
  readonly history: MigrationHistory
  /** None: there are no history tables yet. */
  readonly snapshot: Option.Option<HistorySnapshot>
}

/** Reads files and history; no lock, and no statement but `select`. */
export const openSchema = Effect.fn("Migrator.open")(function* (service: ServiceName) {
  const set = yield* loadRevisionSet(service)
  const session = yield* openSession(service)
  const history = makeMigrationHistory(service, session.connection, yield* MigratorOptions)
  const snapshot = yield* history.read.pipe(Effect.mapError(session.refuse("reading the migration history")))
  const entries: ReadonlyArray<HistoryEntry> = yield* knownEntries(service, snapshot)
  const run: OpenSchema = { set, session, history, snapshot }
  return { ...run, entries }
})

/** Where a plan leads: of one that goes back and forward again (`redo`), how far back. */
export const goalOf = (plan: Plan.Plan, history: ReadonlyArray<HistoryEntry>): string => {
  const last = plan.steps.findLast(({ _tag }) => _tag === "Revert") ?? plan.steps.at(-1)
  return last === undefined ? plan.current : Plan.standingAfter(last, history)
}

const decodeVersion = Schema.decodeUnknown(Schema.NonEmptyArray(VersionRow))

/**
 * Brings a service's schema to `target`.
 *
 * Looks first without the lock: where nothing is to be done nobody is kept waiting. Then again under it, for another process may
 * have done the work in between.
 */
export const migrate = Effect.fn("Migrator.migrate")(function* (service: ServiceName, target: Target) {
  const run = yield* openSchema(service)
  const { entries, history, session, set } = run
  const options = yield* MigratorOptions

  const finished = (plan: Plan.Plan) =>
    session.connection.query(versionQuery(service)).pipe(
      Effect.mapError(session.refuse("reading schema_version back")),
      Effect.flatMap(({ rows }) => Effect.orDie(decodeVersion(rows))),
      Effect.map(
        ([version]): MigrationOutcome => ({
          service,
          from: plan.current,
          to: version.name,
          head: headOf(set).name,
          steps: plan.steps.map((step) => {
            const { revision, slug } = refOf(step)
            return { direction: step._tag === "Apply" ? "up" : "down", revision: revisionName(revision, slug) }
          }),
          ahead: plan.ahead.map((entry) => revisionName(entry.revision, entry.slug)),
          address: session.address,
          version
        })
      )
    )

  if (Option.isSome(run.snapshot)) {
    const plan = Plan.make(set, entries, target)
    // Half-way may only mean that another process is at it right now: the lock will tell.
    if (Either.isLeft(plan) && plan.left._tag !== "PartlyApplied") return yield* plan.left
    const current = run.snapshot.value.format === toolVersion
    if (Either.isRight(plan) && plan.right.steps.length === 0 && current) return yield* finished(plan.right)
  }

  const { entries: standingEntries, lock } = yield* lockSchema({ service, session, history, adopt: false })
  const plan = yield* Plan.make(set, standingEntries, target)
  yield* loadModules(plan.steps)
  const goal = goalOf(plan, standingEntries)
  yield* refuseLosses({ service, session, steps: plan.steps, goal, standing: null })
  const { lockTimeout } = options
  const url = (yield* Database).url(service, "migration")
  const reset = session.reset.pipe(Effect.mapError(session.refuse("resetting the session")))
  let standing = plan.current
  for (const [index, step] of plan.steps.entries()) {
    if (index > 0 && step._tag === "Revert") {
      // A step before this one may have moved rows, or taken so long that new ones came.
      yield* reset
      yield* refuseLosses({ service, session, steps: [step], goal, standing })
    }
    const way = { service, goal, standing: index > 0 ? standing : null }
    yield* runStep({ service, session, lock, history, lockTimeout, options, url, standing, way }, step)
    standing = Plan.standingAfter(step, standingEntries)
  }
  yield* reset
  return yield* finished(plan)
}, Effect.scoped)
