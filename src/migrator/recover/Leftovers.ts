import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ServiceName } from "../../domain/Service.ts"
import type { Connection } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { invalidIndexes } from "../apply/Indexes.ts"
import { type QualifiedName, readTree } from "../files/ParseTree.ts"
import type { Revision } from "../files/Revision.ts"
import { parseStoredDown } from "../files/RevisionFile.ts"
import { classOf, type StatementClass } from "../files/StatementClass.ts"
import { split } from "../files/Statements.ts"
import type { HistoryEntry } from "../history/HistoryEntry.ts"

/** The statement at which `entry` stopped; None where it has none, or it cannot be read. */
export const stoppedAt = (
  entry: HistoryEntry,
  file: Option.Option<Revision>
): Effect.Effect<Option.Option<StatementClass>> =>
  Effect.gen(function* () {
    const section =
      entry.state === "applying"
        ? Option.map(file, ({ up }) => up)
        : Option.flatMap(Option.fromNullable(entry.down_script), parseStoredDown)
    if (entry.kind === "ts" || Option.isNone(section)) return Option.none()
    const statements = yield* Effect.orElseSucceed(split(section.value), () => [])
    const statement = statements[entry.steps_done]
    return statement === undefined ? Option.none() : Option.some(classOf(yield* readTree(statement.text)))
  })

/** Of a named concurrent index the catalog tells how its statement ended, so that nobody needs to run it again to know. */
export const isToldByCatalog = (kind: StatementClass): boolean =>
  kind._tag === "DropIndex" || (kind._tag === "CreateIndex" && kind.index !== null)

/**
 * The invalid indexes that the statement at which `entry` stopped has left, and only those: of `create index concurrently` its own
 * name, or any on its table where PostgreSQL chose the name; of `reindex concurrently` those that PostgreSQL itself calls
 * transient (`_ccnew`, `_ccold`).
 */
export const leftovers = (
  connection: Connection,
  entry: HistoryEntry,
  file: Option.Option<Revision>,
  service: ServiceName
): Effect.Effect<ReadonlyArray<QualifiedName>, DatabaseError> =>
  Effect.gen(function* () {
    const stopped = yield* stoppedAt(entry, file)
    if (Option.isNone(stopped)) return []
    const kind = stopped.value
    if (kind._tag === "CreateIndex") {
      const { index, table } = kind
      const found = yield* invalidIndexes(connection, { table })
      return found.filter(({ name }) => index === null || index.name === name)
    }
    if (kind._tag !== "Repeatable") return []
    const found = yield* invalidIndexes(connection, { schema: service })
    return found.filter(({ name }) => /_cc(new|old)\d*$/.test(name))
  })
