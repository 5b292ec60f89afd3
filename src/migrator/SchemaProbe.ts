import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ServiceName } from "../domain/Service.ts"
import type { SchemaUnreadable, SchemaVersion } from "./SchemaVersion.ts"

/** Whether the database answers a service, and which revision its schema is at. */
export interface SchemaState {
  readonly databaseAnswers: boolean
  /** Why the database does not answer, or why the revision cannot be read. */
  readonly databaseProblem?: string
  readonly schema: { readonly expected: string; readonly actual: string | null }
  /**
   * True if the schema is not older than the program. The migrator checked a newer one at start. With MIGRATE_ON_START=off this
   * alone keeps a service on an older schema from being ready.
   */
  readonly schemaStands: boolean
}

/** Compares by name: a name begins with its number in four digits, and `base` is before them all. */
const isBehind = (actual: string, head: string): boolean => (actual === "base" ? head !== "base" : actual < head)

/** A database that needs longer for one row counts as unreachable. */
const longestQuery = Duration.seconds(1)

/** Load balancers send many probes: one query serves all that arrive within this time. */
const freshness = Duration.millis(250)

/** True for an error with a SQLSTATE, unless it says that no session can be opened: stopping, starting, full, refused. */
const isAnswer = ({ sqlstate }: SchemaUnreadable): boolean =>
  sqlstate !== undefined && !/^(08|28|3D|53|57P)/.test(sqlstate)

/**
 * Returns an effect that reads the current revision through the application's pool, within about one second whatever the database
 * does. Its result is shared for 250 ms.
 */
export const schemaProbe = <S extends ServiceName>(
  version: SchemaVersion<S>
): Effect.Effect<Effect.Effect<SchemaState>> => {
  const { expected, head } = version
  const ask = version.actual.pipe(
    Effect.match({
      onSuccess: (actual): SchemaState => ({
        databaseAnswers: true,
        schema: { expected, actual },
        schemaStands: !isBehind(actual, head)
      }),
      onFailure: (error): SchemaState => ({
        databaseAnswers: isAnswer(error),
        databaseProblem: error.reason,
        schema: { expected, actual: null },
        schemaStands: false
      })
    }),
    // A query to a stopped server cannot be cancelled, so it continues in the background.
    Effect.disconnect,
    Effect.timeoutTo({
      duration: longestQuery,
      onSuccess: (state) => state,
      onTimeout: (): SchemaState => ({
        databaseAnswers: false,
        databaseProblem: `no answer within ${Duration.format(longestQuery)}`,
        schema: { expected, actual: null },
        schemaStands: false
      })
    })
  )
  return Effect.cachedWithTTL(ask, freshness)
}
