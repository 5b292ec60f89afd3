import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ServiceName } from "../../domain/Service.ts"
import type { Connection } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { Revision } from "../files/Revision.ts"
import { indexOf, type QualifiedName, readTree, shownName, splitStatements } from "../files/Statements.ts"
import type { HistoryEntry } from "../history/MigrationHistory.ts"
import { partlyApplied } from "../plan/HistoryMismatch.ts"
import type { PartlyApplied } from "../plan/PlanRefusal.ts"
import { indexState } from "./Catalog.ts"

/** The named indexes that an SQL revision creates, in any way. */
const indexesOf = (revision: Revision): Effect.Effect<ReadonlyArray<QualifiedName>> =>
  revision.kind === "ts"
    ? Effect.succeed([])
    : splitStatements(revision.up).pipe(
        Effect.flatMap((statements) => Effect.forEach(statements, ({ text }) => readTree(text))),
        Effect.map((trees) => trees.flatMap((tree) => indexOf(tree)?.index ?? [])),
        Effect.orElseSucceed(() => [])
      )

/** The invalid indexes that an earlier attempt of a revision left, by the names that its file has now. */
export const invalidIndexesNamedIn = (
  connection: Connection,
  revision: Revision
): Effect.Effect<ReadonlyArray<QualifiedName>, DatabaseError> =>
  Effect.flatMap(indexesOf(revision), (indexes) =>
    Effect.filter(indexes, (index) =>
      Effect.map(indexState(connection, index), (valid) => Option.contains(valid, false))
    )
  )

/**
 * Fails unless a revision that began without a transaction did nothing, so that its file may ask for one now and all of it runs.
 */
export const requireUnbegun = (
  connection: Connection,
  service: ServiceName,
  revision: Revision,
  halfway: HistoryEntry
): Effect.Effect<void, PartlyApplied | DatabaseError> =>
  Effect.gen(function* () {
    const stop = (problem: string) => partlyApplied(service, halfway, problem)
    const { file } = revision
    const { progress, steps_begun, steps_done, steps_total } = halfway
    if (steps_done > 0 || Object.keys(progress).length > 0) {
      const what = steps_done > 0 ? `${steps_done} of its ${steps_total} statements` : "some of its batches"
      return yield* stop(`${file} asks for a transaction now, but ${what} ran without one; restore transaction:false`)
    }
    if (steps_begun > steps_done) {
      return yield* stop(
        `${file} asks for a transaction now, but the outcome of statement 1, which ran without one, was not recorded; check whether ` +
          "it is done, then restore transaction:false, or close the revision by hand"
      )
    }
    const [invalid] = yield* invalidIndexesNamedIn(connection, revision)
    if (invalid !== undefined) {
      return yield* stop(
        `a concurrent index build failed and left index ${shownName(invalid)} invalid; drop it and continue: ` +
          `pnpm migrate --service ${service} repair --retry`
      )
    }
  })
