import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { Batches } from "../files/Batches.ts"
import { DataRevisionUnreadable, loadDataRevision } from "../files/DataModule.ts"
import type { DataWork } from "../files/DataRevision.ts"
import type { Revision } from "../files/Revision.ts"
import type { Step } from "../plan/Plan.ts"
import { batchesRefused, committedBatches, migratorFailureIn } from "./DataBatches.ts"
import { outsideTransaction } from "./NonTransactionalStep.ts"
import { pinned } from "./PinnedSqlClient.ts"
import { onOneLine, ownCode } from "./RevisionFailed.ts"
import type { LockLost } from "./SchemaLock.ts"
import { StatementFailed } from "./Script.ts"
import { directionOf, type ReadStep, type StepContext, sectionOf } from "./StepContext.ts"
import { inOneTransaction } from "./TransactionalStep.ts"

const withReversal = (revision: Revision, irreversible: string | undefined): Revision => ({
  ...revision,
  reversal: irreversible === undefined ? { _tag: "Module" } : { _tag: "Irreversible", reason: irreversible }
})

/** Adds to a data revision what only its module says: why it is irreversible. Returns an SQL revision as it is. */
export const withExportedReversal = (revision: Revision): Effect.Effect<Revision, DataRevisionUnreadable> =>
  revision.kind === "sql"
    ? Effect.succeed(revision)
    : Effect.map(loadDataRevision(revision), ({ irreversible }) => withReversal(revision, irreversible))

const loadWork = (revision: Revision, direction: "up" | "down") =>
  Effect.flatMap(loadDataRevision(revision), ({ down, irreversible, up }) => {
    const work = direction === "up" ? up : down
    return work === undefined
      ? new DataRevisionUnreadable({ service: revision.service, file: revision.file, problem: "it has no `down`" })
      : Effect.succeed({ work, revision: withReversal(revision, irreversible) })
  })

const revisionOf = (step: Step): Option.Option<Revision> =>
  step._tag === "Apply" ? Option.some(step.revision) : step.revision

/** Loads the modules of a plan's data revisions, so that a module that cannot be imported fails before anything runs. */
export const loadModules = (steps: ReadonlyArray<Step>): Effect.Effect<void, DataRevisionUnreadable> =>
  Effect.forEach(
    steps,
    (step) =>
      Option.match(revisionOf(step), {
        onNone: () => Effect.void,
        onSome: (revision) => (revision.kind === "ts" ? loadWork(revision, directionOf(step)) : Effect.void)
      }),
    { discard: true }
  )

/**
 * Runs a data revision's work and turns every failure into one of the migrator's own. The author's errors may have any type, and
 * a defect must not end the process without naming the file.
 */
const withMigratorFailures = (
  work: Effect.Effect<unknown, unknown>,
  failureOf: (statement: string, cause: DatabaseError) => StatementFailed
): Effect.Effect<void, StatementFailed | LockLost> =>
  Effect.catchAllCause(Effect.asVoid(work), (cause) => {
    if (Cause.isInterruptedOnly(cause)) return Effect.interrupt
    const thrown = Cause.squash(cause)
    const failure = migratorFailureIn(thrown)
    if (failure?._tag === "StatementFailed" || failure?._tag === "LockLost") return Effect.fail(failure)
    const reason = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)
    return Effect.fail(
      failureOf(ownCode, failure ?? new DatabaseError({ phase: "statement", reason: onOneLine(reason) }))
    )
  })

/** Loads the module of a data revision's step. The inner effect runs its `up` or `down` and counts as one statement. */
export const dataStep = (context: StepContext, step: Step): ReadStep =>
  Effect.gen(function* () {
    const direction = directionOf(step)
    const { revision, work } = yield* loadWork(Option.getOrThrow(revisionOf(step)), direction)
    const { connection } = context.session
    const section = sectionOf(step)
    const failureOf = (statement: string, cause: DatabaseError) =>
      new StatementFailed({
        location: { file: revision.file, line: section.line, source: "", statement: onOneLine(statement) },
        direction,
        cause
      })
    const client = pinned(connection, failureOf)
    const run = (work: DataWork, batches: Batches["Type"]) =>
      withMigratorFailures(client.provide(Effect.provideService(work, Batches, batches)), failureOf)
    // The history row says why the revision is irreversible, which only its module knows.
    const complete: Step = step._tag === "Apply" ? { ...step, revision } : step
    return section.transaction
      ? inOneTransaction(context, complete, 1, run(client.inTransaction(work), batchesRefused))
      : outsideTransaction(
          context,
          complete,
          1,
          run(work, committedBatches(context, revision, section, client.inTransaction)),
          Option.none()
        )
  })
