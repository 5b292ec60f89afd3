import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ServiceName } from "../../domain/Service.ts"
import type { Connection } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { type QualifiedName, quotedName, readTree, shownName } from "../files/ParseTree.ts"
import { revisionName } from "../files/Revision.ts"
import { splitStatements } from "../files/Statements.ts"
import { MigratorOptions } from "../MigratorOptions.ts"
import { type DataLoss, DataLossRefused } from "../plan/DataLoss.ts"
import { type DestructiveChange, destructiveChangesIn } from "../plan/DestructiveChange.ts"
import type { Step } from "../plan/Plan.ts"
import { dependantsOf, lockable, referrersOf, tablesIn, writingDoesMore } from "./LossCatalog.ts"
import { type BoundedQuery, countRows, inOwnTransaction, inSavepoint } from "./LossCount.ts"
import type { DatabaseRefusal, MigrationSession } from "./Session.ts"

/** Of one count. After it only whether there is any row is asked. */
const patience = Duration.seconds(10)

const notes = {
  absent: "an earlier statement of the way back makes or renames it, so its rows cannot be counted yet",
  moved: "an earlier statement of the way back may bring rows into it, so they cannot be counted yet",
  more: "an earlier statement of the way back may bring more",
  hidden: "this role may not see all of its rows (row-level security, or no right to select)",
  unguarded: "the way back runs without a transaction, so rows may come while it runs"
}

/** How a threat is looked at. */
interface LossCounting {
  readonly connection: Connection
  readonly bounded: BoundedQuery
  readonly longest: Duration.Duration
}

const unknown = (revision: string, note: string): DataLoss => ({
  revision,
  table: null,
  column: null,
  rows: null,
  note
})

const lossesOf = (
  { bounded, connection, longest }: LossCounting,
  revision: string,
  threat: DestructiveChange,
  transaction: boolean
): Effect.Effect<ReadonlyArray<DataLoss>, DatabaseError> => {
  const counted = (table: QualifiedName, column: string | null, moved: boolean) =>
    Effect.map(countRows(bounded, table, column, longest), (found): ReadonlyArray<DataLoss> => {
      const nothing = found === 0 || found === "absent"
      if (nothing && !moved && (transaction || found === "absent")) return []
      const note = {
        some: `there are, too many to count within ${Duration.format(longest)}`,
        absent: notes.absent,
        hidden: notes.hidden,
        0: moved ? notes.moved : notes.unguarded
      }
      const rows = typeof found === "number" && found > 0 ? found : null
      const why = typeof found === "string" ? note[found] : found === 0 ? note[0] : moved ? notes.more : null
      return [{ revision, table: shownName(table), column, rows, note: why }]
    })
  const each = (tables: ReadonlyArray<QualifiedName>) =>
    Effect.map(
      Effect.forEach(tables, (table) => counted(table, null, false)),
      (found) => found.flat()
    )
  const dependants = (what: string, dropped: Parameters<typeof dependantsOf>[1]) =>
    Effect.map(dependantsOf(connection, dropped), (found) =>
      found.length === 0
        ? []
        : [unknown(revision, `drop ${what} … cascade may take columns of ${found.map(shownName).join(", ")} with it`)]
    )
  switch (threat._tag) {
    case "Rows":
      return counted(threat.table, null, threat.moved)
    case "Values":
      return counted(threat.table, threat.column, threat.moved)
    case "RowsAndReferrers":
      return Effect.flatMap(referrersOf(connection, threat.table), (tables) =>
        tables.length === 0 || threat.moved ? counted(threat.table, null, threat.moved) : each(tables)
      )
    case "Dependants":
      return dependants(`table ${shownName(threat.table)}`, { table: threat.table })
    case "Schema":
      return threat.moved
        ? Effect.succeed([unknown(revision, `what is in schema ${threat.name} by then: ${notes.moved}`)])
        : Effect.zipWith(
            Effect.flatMap(tablesIn(connection, threat.name), each),
            dependants(`schema ${threat.name}`, { schema: threat.name }),
            (rows, columns) => [...rows, ...columns]
          )
    case "Written":
      return Effect.map(writingDoesMore(connection, threat.table), (more) =>
        threat.renamed || more === true
          ? [
              unknown(
                revision,
                `it writes to ${shownName(threat.table)}, and triggers, rules or references may do more`
              )
            ]
          : []
      )
    case "Unknown":
      return Effect.succeed([unknown(revision, threat.what)])
  }
}

type Revert = Step & { readonly _tag: "Revert" }

const treesOf = (step: Revert) =>
  splitStatements(step.down).pipe(
    Effect.flatMap((statements) => Effect.all(statements.map(({ text }) => readTree(text)))),
    // What cannot be read cannot be run either; that is told, with its place, when its turn comes.
    Effect.catchAll(() => Effect.succeed([{ kind: "unreadable", node: {} }]))
  )

const lossesOfReverts = (look: LossCounting, reverts: ReadonlyArray<Revert>) =>
  Effect.gen(function* () {
    const sql = reverts.filter(({ entry }) => entry.kind === "sql")
    const threats = destructiveChangesIn(yield* Effect.forEach(sql, treesOf))
    const found = yield* Effect.forEach(sql, ({ down, entry }, index) =>
      Effect.forEach(threats[index] ?? [], (threat) =>
        lossesOf(look, revisionName(entry.revision, entry.slug), threat, down.transaction)
      )
    )
    const code = reverts
      .filter(({ entry }) => entry.kind === "ts")
      .map(({ entry }) =>
        unknown(revisionName(entry.revision, entry.slug), "the way back of a data revision is a program")
      )
    const losses = [...found.flat(2), ...code]
    const key = ({ column, note, table }: DataLoss) => JSON.stringify(table === null ? note : [table, column])
    return losses.filter((loss, index) => losses.findIndex((other) => key(other) === key(loss)) === index)
  })

/**
 * What the way back through `steps` would destroy of what the database holds now; steps up destroy nothing here. Counts
 * exactly, each table and column once, in read-only transactions of bounded time.
 */
export const readLosses = (
  connection: Connection,
  steps: ReadonlyArray<Step>,
  longest: Duration.Duration = patience
): Effect.Effect<ReadonlyArray<DataLoss>, DatabaseError> =>
  lossesOfReverts(
    { connection, bounded: inOwnTransaction(connection), longest },
    steps.flatMap((step) => (step._tag === "Revert" ? [step] : []))
  )

/** What a refusal says besides the losses. */
export interface DowngradeGoal {
  readonly service: ServiceName
  readonly goal: string
  /** Where the schema is when steps before have been reverted already; null where nothing has. */
  readonly standing: string | null
}

/** Fails where the way back through `steps` to `goal` would destroy something, unless that is allowed. */
export const refuseLosses = Effect.fn("Migrator.refuseLosses")(function* (
  asked: DowngradeGoal & { readonly session: MigrationSession; readonly steps: ReadonlyArray<Step> }
): Effect.fn.Return<void, DataLossRefused | DatabaseRefusal> {
  const { goal, service, session, standing, steps } = asked
  const { allowDataLoss } = yield* MigratorOptions
  if (allowDataLoss) return
  const losses = yield* readLosses(session.connection, steps).pipe(
    Effect.mapError(session.refuse("counting what the way back would destroy"))
  )
  if (losses.length > 0) return yield* new DataLossRefused({ service, goal, losses, standing })
})

const tablesOf = (connection: Connection, threat: DestructiveChange) => {
  switch (threat._tag) {
    case "Rows":
    case "Values":
      return Effect.succeed([threat.table])
    case "RowsAndReferrers":
      return referrersOf(connection, threat.table)
    case "Schema":
      return tablesIn(connection, threat.name)
    default:
      return Effect.succeed([])
  }
}

/**
 * Locks what one way back threatens and counts it again, inside the transaction that will run it: from then on no row can
 * come unseen. The transaction must be `read committed`, so that the count sees what was committed while the lock was waited
 * for.
 */
export const refuseLossesWithin = (
  connection: Connection,
  step: Revert,
  way: DowngradeGoal
): Effect.Effect<void, DataLossRefused | DatabaseError> =>
  Effect.gen(function* () {
    const threats = destructiveChangesIn([yield* treesOf(step)]).flat()
    const threatened = yield* Effect.forEach(threats, (threat) => tablesOf(connection, threat))
    const tables = [...new Map(threatened.flat().map((table) => [quotedName(table), table])).values()]
    for (const table of yield* lockable(connection, tables)) {
      yield* connection.query(`lock table ${quotedName(table)} in access exclusive mode`, undefined, { deadline: null })
    }
    const losses = yield* lossesOfReverts({ connection, bounded: inSavepoint(connection), longest: patience }, [step])
    if (losses.length > 0) return yield* new DataLossRefused({ ...way, losses })
  })
