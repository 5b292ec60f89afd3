import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ServiceName } from "../../domain/Service.ts"
import type { Connection } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { type QualifiedName, quotedName, readTree, shownName, splitStatements } from "../files/Statements.ts"
import { MigratorOptions } from "../MigratorOptions.ts"
import {
  type DataLoss,
  DataLossRefused,
  type DestructiveChange,
  destructiveChangesIn
} from "../plan/DestructiveChange.ts"
import { nameOf } from "../plan/HistoryMismatch.ts"
import type { Step } from "../plan/Plan.ts"
import {
  type BoundedQuery,
  countRows,
  dependantsOf,
  inOwnTransaction,
  inSavepoint,
  lockable,
  referrersOf,
  tablesIn,
  writingDoesMore
} from "./Catalog.ts"
import type { MigrationSession } from "./Session.ts"

/** The time limit of one count. After it the check only asks whether there is any row. */
const longestCount = Duration.seconds(10)

const notes = {
  absent: "an earlier statement of the downgrade creates or renames it, so its rows cannot be counted yet",
  moved: "an earlier statement of the downgrade may add rows to it, so they cannot be counted yet",
  more: "an earlier statement of the downgrade may add more",
  hidden: "this role may not see all of its rows (row-level security, or no right to select)",
  unguarded: "the downgrade runs without a transaction, so rows may be added while it runs"
}

/** How rows are counted. */
interface LossCounting {
  readonly connection: Connection
  readonly bounded: BoundedQuery
  readonly longest: Duration.Duration
}

const unknown = (revision: string, note: string): DataLoss => {
  return { revision, table: null, column: null, rows: null, note }
}

const lossesOf = (
  { bounded, connection, longest }: LossCounting,
  revision: string,
  change: DestructiveChange,
  transaction: boolean
): Effect.Effect<ReadonlyArray<DataLoss>, DatabaseError> => {
  const counted = (table: QualifiedName, column: string | null, moved: boolean) =>
    Effect.map(countRows(bounded, table, column, longest), (found): ReadonlyArray<DataLoss> => {
      const nothing = found === 0 || found === "absent"
      if (nothing && !moved && (transaction || found === "absent")) return []
      const note = {
        some: `too many to count within ${Duration.format(longest)}`,
        absent: notes.absent,
        hidden: notes.hidden,
        0: moved ? notes.moved : notes.unguarded
      }
      const rows = typeof found === "number" && found > 0 ? found : null
      const why = typeof found === "string" ? note[found] : found === 0 ? note[0] : moved ? notes.more : null
      return [{ revision, table: shownName(table), column, rows, note: why }]
    })
  const each = (tables: ReadonlyArray<QualifiedName>) =>
    Effect.map(Effect.all(tables.map((table) => counted(table, null, false))), (found) => found.flat())
  const dependants = (what: string, dropped: Parameters<typeof dependantsOf>[1]) =>
    Effect.map(dependantsOf(connection, dropped), (found) =>
      found.length === 0
        ? []
        : [unknown(revision, `drop ${what} … cascade may drop columns of ${found.map(shownName).join(", ")}`)]
    )
  switch (change._tag) {
    case "Rows":
      return counted(change.table, null, change.moved)
    case "Values":
      return counted(change.table, change.column, change.moved)
    case "RowsAndReferrers":
      return Effect.flatMap(referrersOf(connection, change.table), (tables) =>
        tables.length === 0 || change.moved ? counted(change.table, null, change.moved) : each(tables)
      )
    case "Dependants":
      return dependants(`table ${shownName(change.table)}`, { table: change.table })
    case "Schema":
      return change.moved
        ? Effect.succeed([unknown(revision, `the contents of schema ${change.name}: ${notes.moved}`)])
        : Effect.zipWith(
            Effect.flatMap(tablesIn(connection, change.name), each),
            dependants(`schema ${change.name}`, { schema: change.name }),
            (rows, columns) => [...rows, ...columns]
          )
    case "Written":
      return Effect.map(writingDoesMore(connection, change.table), (more) => {
        const what = `it writes to ${shownName(change.table)}, and triggers, rules or references may do more`
        return change.renamed || more === true ? [unknown(revision, what)] : []
      })
    case "Unknown":
      return Effect.succeed([unknown(revision, change.what)])
  }
}

type Revert = Step & { readonly _tag: "Revert" }

const treesOf = (step: Revert) =>
  splitStatements(step.down).pipe(
    Effect.flatMap((statements) => Effect.all(statements.map(({ text }) => readTree(text)))),
    // A section that cannot be parsed cannot run either; the step reports that with its location.
    Effect.catchAll(() => Effect.succeed([{ kind: "unreadable", node: {} }]))
  )

const lossesOfReverts = Effect.fnUntraced(function* (counting: LossCounting, reverts: ReadonlyArray<Revert>) {
  const sql = reverts.filter(({ entry }) => entry.kind === "sql")
  const changes = destructiveChangesIn(yield* Effect.forEach(sql, treesOf))
  const found = yield* Effect.forEach(sql, ({ down, entry }, index) =>
    Effect.forEach(changes[index] ?? [], (change) => lossesOf(counting, nameOf(entry), change, down.transaction))
  )
  const code = reverts.flatMap((step) =>
    step.entry.kind === "ts" ? [unknown(nameOf(step.entry), "the downgrade of a data revision is a program")] : []
  )
  const losses = [...found.flat(2), ...code]
  const key = ({ column, note, table }: DataLoss) => JSON.stringify(table === null ? note : [table, column])
  return losses.filter((loss, index) => losses.findIndex((other) => key(other) === key(loss)) === index)
})

/**
 * Counts what the downgrade steps of a plan would destroy of the present data; upgrade steps destroy nothing. Each table and
 * column is counted once, exactly, in read-only transactions of at most `longest`.
 */
export const readLosses = (
  connection: Connection,
  steps: ReadonlyArray<Step>,
  longest: Duration.Duration = longestCount
): Effect.Effect<ReadonlyArray<DataLoss>, DatabaseError> =>
  lossesOfReverts(
    { connection, bounded: inOwnTransaction(connection), longest },
    steps.flatMap((step) => (step._tag === "Revert" ? [step] : []))
  )

/** What a refusal reports besides the losses. */
export interface DowngradeGoal {
  readonly service: ServiceName
  readonly goal: string
  /** The revision that the schema is at after the steps before; null if nothing was reverted yet. */
  readonly current: string | null
}

/** Fails if the downgrade steps would destroy data, unless `allowDataLoss` is set. */
export const refuseLosses = Effect.fn("Migrator.refuseLosses")(function* (
  session: MigrationSession,
  steps: ReadonlyArray<Step>,
  way: DowngradeGoal
) {
  const { allowDataLoss } = yield* MigratorOptions
  if (allowDataLoss) return
  const losses = yield* readLosses(session.connection, steps).pipe(
    Effect.mapError(session.refuse("counting what the downgrade would destroy"))
  )
  if (losses.length > 0) return yield* new DataLossRefused({ ...way, losses })
})

const tablesOf = (connection: Connection, change: DestructiveChange) => {
  switch (change._tag) {
    case "Rows":
    case "Values":
      return Effect.succeed([change.table])
    case "RowsAndReferrers":
      return referrersOf(connection, change.table)
    case "Schema":
      return tablesIn(connection, change.name)
    default:
      return Effect.succeed([])
  }
}

/**
 * Locks the tables that one downgrade step could destroy rows of and counts them again, inside the step's transaction, so that no
 * row is added unseen. The transaction must be `read committed`, so that the count includes rows committed while it waited for
 * the lock.
 */
export const refuseLossesWithin = Effect.fnUntraced(function* (
  connection: Connection,
  step: Revert,
  way: DowngradeGoal
) {
  const changes = destructiveChangesIn([yield* treesOf(step)]).flat()
  const affected = yield* Effect.forEach(changes, (change) => tablesOf(connection, change))
  const tables = [...new Map(affected.flat().map((table) => [quotedName(table), table])).values()]
  for (const table of yield* lockable(connection, tables)) {
    yield* connection.query(`lock table ${quotedName(table)} in access exclusive mode`, undefined, { deadline: null })
  }
  const counting = { connection, bounded: inSavepoint(connection), longest: longestCount }
  const losses = yield* lossesOfReverts(counting, [step])
  if (losses.length > 0) return yield* new DataLossRefused({ ...way, losses })
})
