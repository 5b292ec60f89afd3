import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { Batches } from "../files/Batches.ts"
import { DataRevisionUnreadable, loadDataRevision } from "../files/DataModule.ts"
import type { DataWork } from "../files/DataRevision.ts"
import type { Revision } from "../files/Revision.ts"
import type { Step } from "../plan/Plan.ts"
import { batchesInside, batchesOver } from "./DataBatches.ts"
import { migratorFailureIn } from "./InnermostFailure.ts"
import { pinned } from "./PinnedSqlClient.ts"
import { onOneLine, ownCode } from "./RevisionFailed.ts"
import type { LockLost } from "./SchemaLock.ts"
import { StatementFailed, setTimeouts } from "./Script.ts"
import { beginStep, endStep, refOf, type StepContext, type StepError, sectionOf } from "./StepContext.ts"

const withWayBack = (revision: Revision, irreversible: string | undefined): Revision => ({
  ...revision,
  reversal: irreversible === undefined ? { _tag: "Module" } : { _tag: "Irreversible", reason: irreversible }
})

/** A revision with what only its module tells: why there is no way back. An SQL revision as it is. */
export const withExportedReversal = (revision: Revision): Effect.Effect<Revision, DataRevisionUnreadable> =>
  revision.kind === "sql"
    ? Effect.succeed(revision)
    : Effect.map(loadDataRevision(revision), ({ irreversible }) => withWayBack(revision, irreversible))

const loaded = (revision: Revision, direction: "up" | "down") =>
  Effect.flatMap(loadDataRevision(revision), ({ down, irreversible, up }) => {
    const work = direction === "up" ? up : down
    return work === undefined
      ? new DataRevisionUnreadable({ service: revision.service, file: revision.file, problem: "it has no `down`" })
      : Effect.succeed({ work, revision: withWayBack(revision, irreversible) })
  })

const revisionOf = (step: Step): Option.Option<Revision> =>
  step._tag === "Apply" ? Option.some(step.revision) : step.revision

/** Loads the modules of a plan's data revisions: what cannot be imported is told before anything runs. */
export const loadModules = (steps: ReadonlyArray<Step>): Effect.Effect<void, DataRevisionUnreadable> =>
  Effect.forEach(
    steps,
    (step) =>
      Option.match(revisionOf(step), {
        onNone: () => Effect.void,
        onSome: (revision) =>
          revision.kind === "ts" ? loaded(revision, step._tag === "Apply" ? "up" : "down") : Effect.void
      }),
    { discard: true }
  )

/**
 * Runs a data revision's work and makes whatever ends it one of the migrator's own failures: the author's errors may be of
 * any type, and a defect must not end the process without a word about the file.
 */
const asMigratorFailure = (
  work: Effect.Effect<unknown, unknown>,
  blame: (statement: string, cause: DatabaseError) => StatementFailed
): Effect.Effect<void, StatementFailed | LockLost> =>
  Effect.catchAllCause(Effect.asVoid(work), (cause) => {
    if (Cause.isInterruptedOnly(cause)) return Effect.interrupt
    const thrown = Cause.squash(cause)
    const known = migratorFailureIn(thrown)
    if (known?._tag === "StatementFailed" || known?._tag === "LockLost") return Effect.fail(known)
    const reason = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)
    return Effect.fail(blame(ownCode, known ?? new DatabaseError({ phase: "statement", reason: onOneLine(reason) })))
  })

/** One step of a data revision. The outer effect loads its module, the inner one runs it. */
export const dataWork = (
  bench: StepContext,
  step: Step
): Effect.Effect<Effect.Effect<void, StepError>, DataRevisionUnreadable> =>
  Effect.gen(function* () {
    const direction = step._tag === "Apply" ? "up" : "down"
    const { revision, work } = yield* loaded(Option.getOrThrow(revisionOf(step)), direction)
    const { history, lock, options, session } = bench
    const { connection } = session
    const section = sectionOf(step)
    const blame = (statement: string, cause: DatabaseError) =>
      new StatementFailed({
        place: { file: revision.file, line: section.line, source: "", statement: onOneLine(statement) },
        direction,
        cause
      })
    const client = pinned(connection, blame)
    const run = (given: DataWork, batches: Batches["Type"]) =>
      asMigratorFailure(client.provide(Effect.provideService(given, Batches, batches)), blame)
    // The row of an applied data revision says why there is no way back, which only its module knew.
    const complete: Step = step._tag === "Apply" ? { ...step, revision } : step

    if (section.transaction) {
      return connection.transaction(
        Effect.gen(function* () {
          yield* lock.fence
          const startedAt = yield* setTimeouts(connection, section, options.lockTimeout)
          yield* run(client.inTransaction(work), batchesInside)
          if (complete._tag === "Apply") yield* history.insert(complete.revision, "applied", 1, startedAt)
          else yield* history.remove(complete.entry.revision)
          yield* history.event(complete._tag === "Apply" ? "applied" : "reverted", refOf(step), null)
        })
      )
    }
    return Effect.gen(function* () {
      const startedAt = yield* setTimeouts(connection, section, Duration.zero)
      yield* beginStep(bench, complete, 1, startedAt)
      yield* run(work, batchesOver(bench, revision, section, client.inTransaction))
      yield* endStep(bench, complete, Option.none())
    })
  })
