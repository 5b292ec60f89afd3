import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { checksumOf } from "../files/Markers.ts"
import { readTree, shownName } from "../files/ParseTree.ts"
import { classOf, type StatementClass } from "../files/StatementClass.ts"
import type { Statement } from "../files/Statements.ts"
import type { HistoryEntry } from "../history/MigrationHistory.ts"
import { partlyApplied } from "../plan/HistoryMismatch.ts"
import type { Step } from "../plan/Plan.ts"
import type { PartlyApplied } from "../plan/PlanRefusal.ts"
import { indexState, invalidIndexes } from "./InvalidIndexes.ts"
import type { LockLost } from "./SchemaLock.ts"
import { runStatement, type Script, StatementFailed, setTimeouts } from "./Script.ts"
import { beginStep, endStep, refOf, type StepContext, type StepError } from "./StepContext.ts"

/** The row that an earlier run left half-way. */
const halfwayOf = (step: Step): Option.Option<HistoryEntry> =>
  step._tag === "Apply" ? step.halfway : step.entry.state === "reverting" ? Option.some(step.entry) : Option.none()

/** The number, from 1, of the first statement that ran in another wording than the file has now; null: none. */
export const firstChanged = (
  ran: Pick<HistoryEntry, "steps_done" | "step_checksums">,
  now: ReadonlyArray<string>
): number | null => {
  const changed = Array.from({ length: ran.steps_done }, (_, index) => index).find(
    (index) => now[index] === undefined || ran.step_checksums[index] !== now[index]
  )
  return changed === undefined ? null : changed + 1
}

/** Whether the statements done are still those of the script. Rows of the first form have only the checksum of the whole. */
export const changedSince = (entry: HistoryEntry, script: Pick<Script, "section" | "statements">): number | null => {
  const checksum = entry.state === "applying" ? entry.up_checksum : entry.down_checksum
  return entry.step_checksums.length === 0 && script.section.checksum === checksum
    ? null
    : firstChanged(
        entry,
        script.statements.map(({ text }) => checksumOf(text))
      )
}

/** What to do with the statement at which an earlier run was cut off, or null: just run it. */
const obstacle = (
  { service, session }: StepContext,
  kind: StatementClass,
  number: number,
  outcomeUnknown: boolean
): Effect.Effect<"done" | { readonly problem: string } | null, DatabaseError> =>
  Effect.gen(function* () {
    const { connection } = session
    const unknown = {
      problem:
        `nobody recorded how statement ${number} ended; look whether it is done, then close the revision by hand, or run ` +
        `it again: pnpm migrate --service ${service} repair --retry`
    }
    const invalid = (name: string) => ({
      problem:
        `index ${name} is there, but invalid (a concurrent index that failed); drop it and go on: ` +
        `pnpm migrate --service ${service} repair --retry`
    })
    switch (kind._tag) {
      case "CreateIndex": {
        if (kind.index === null) {
          const [first] = yield* invalidIndexes(connection, { table: kind.table })
          return first !== undefined ? invalid(shownName(first)) : outcomeUnknown ? unknown : null
        }
        const valid = yield* indexState(connection, kind.index)
        if (Option.isSome(valid) && !valid.value) return invalid(shownName(kind.index))
        // It was not there when the statement began, or PostgreSQL would have refused it: so it is the statement's own.
        return Option.isSome(valid) && outcomeUnknown ? "done" : null
      }
      case "DropIndex":
        return outcomeUnknown && Option.isNone(yield* indexState(connection, kind.index)) ? "done" : null
      case "Opaque":
        return outcomeUnknown ? unknown : null
      default:
        return null
    }
  })

/** Runs one statement that may not stand in a transaction. Between its begin and its record its outcome is unknown. */
const runAlone = (
  { history, lock, session: { connection } }: StepContext,
  script: Script,
  statement: Statement,
  kind: StatementClass,
  revision: number,
  index: number
): Effect.Effect<void, StatementFailed | DatabaseError | LockLost> =>
  connection.transaction(Effect.zipRight(lock.fence, history.stepsBegun(revision, index + 1))).pipe(
    Effect.zipRight(runStatement(connection, script, statement)),
    Effect.catchTag("StatementFailed", (failed) =>
      Effect.gen(function* () {
        // With a SQLSTATE the server told how it ended; without one the session is gone, and the record stays as it is.
        if (failed.cause.sqlstate === undefined) return yield* failed
        yield* history.stepsBegun(revision, index)
        if (kind._tag !== "CreateIndex") return yield* failed
        const left = (yield* invalidIndexes(connection, { table: kind.table })).find(
          ({ name }) => kind.index === null || kind.index.name === name
        )
        if (left === undefined) return yield* failed
        const { cause, direction, place } = failed
        return yield* new StatementFailed({ cause, direction, place, invalidIndex: shownName(left) })
      })
    ),
    Effect.asVoid
  )

/**
 * Statement by statement, each committed by itself, with its checksum recorded: whoever comes after a crash goes on where it
 * stopped, if the statements that ran are still those of the file. What can run in a transaction commits together with its record;
 * of a concurrent index the catalog tells; where neither helps, nobody guesses (PartlyApplied).
 *
 * Without a `lock_timeout` of its own it waits for locks: a concurrent index waits for old transactions while everybody
 * works on, and giving up would leave it invalid.
 */
export const runStatementByStatement = (
  bench: StepContext,
  step: Step,
  script: Script,
  verify: Option.Option<Script>
): Effect.Effect<void, StepError> =>
  Effect.gen(function* () {
    const { history, lock, service, session } = bench
    const { connection } = session
    const { revision, slug } = refOf(step)
    const total = script.statements.length
    const earlier = halfwayOf(step)
    const done = Option.match(earlier, { onNone: () => 0, onSome: ({ steps_done }) => steps_done })
    const stop = (stepsDone: number, problem: string): PartlyApplied =>
      partlyApplied(
        service,
        {
          revision,
          slug,
          state: step._tag === "Apply" ? "applying" : "reverting",
          steps_done: stepsDone,
          steps_total: total
        },
        problem
      )
    if (Option.isSome(earlier)) {
      const changed = changedSince(earlier.value, script)
      if (changed !== null) {
        return yield* stop(done, `statement ${changed} of ${script.file} is not the one that ran; restore it`)
      }
      yield* Effect.logWarning(
        `${service}: revision ${revision} was cut off after ${done} of ${total} statements; it goes on from there`
      )
    }
    const startedAt = yield* setTimeouts(connection, script.section, "0 millis")
    yield* beginStep(bench, step, total, startedAt)
    for (const [index, statement] of script.statements.entries()) {
      const kind = classOf(yield* readTree(statement.text))
      if (index < done) {
        if (kind._tag === "Setting") yield* runStatement(connection, script, statement)
        continue
      }
      const record = history.stepDone(revision, index + 1, total, checksumOf(statement.text))
      if (kind._tag === "Transactional") {
        const run = runStatement(connection, script, statement)
        yield* connection.transaction(lock.fence.pipe(Effect.zipRight(run), Effect.zipRight(record)))
        continue
      }
      const unknown = Option.exists(earlier, ({ steps_begun }) => steps_begun === index + 1)
      const found = yield* obstacle(bench, kind, index + 1, unknown)
      if (found !== null && found !== "done") return yield* stop(index, found.problem)
      if (found === null) yield* runAlone(bench, script, statement, kind, revision, index)
      yield* record
    }
    yield* endStep(bench, step, verify)
  })
