import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ServiceName } from "../domain/Service.ts"
import type { SchemaUnreadable, SchemaVersion } from "./SchemaVersion.ts"

/** Whether the database answers a service, and what the service stands on there. */
export interface SchemaState {
  readonly databaseAnswers: boolean
  /** Why it does not, or why the revision cannot be read. */
  readonly databaseProblem?: string
  readonly schema: { readonly expected: string; readonly actual: string | null }
  /**
   * The schema is no older than the program; a newer one was looked at by the migrator when it was made. With
   * MIGRATE_ON_START=off this is all that keeps a service on an older schema from calling itself ready.
   */
  readonly schemaStands: boolean
}

/** Names begin with their number, in four digits; `base` is before them all. */
const isBehind = (actual: string, head: string): boolean => (actual === "base" ? head !== "base" : actual < head)

/** A database that needs longer for one row counts as away. */
const patience = Duration.seconds(1)

/** Probes come from balancers, many at a time: one question serves all that ask within this time. */
const freshness = Duration.millis(250)

/** An answer with a SQLSTATE is an answer, except where it says that no session is to be had: going, starting, full, barred. */
const isAnswer = ({ sqlstate }: SchemaUnreadable): boolean =>
  sqlstate !== undefined && !/^(08|28|3D|53|57P)/.test(sqlstate)

/**
 * Asks the application's own connection for the current revision: one question that tells both. The answer comes within a
 * second or so, whatever the database does.
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
    // The question to a stopped server cannot be taken back, so it is left behind rather than waited for.
    Effect.disconnect,
    Effect.timeoutTo({
      duration: patience,
      onSuccess: (state) => state,
      onTimeout: (): SchemaState => ({
        databaseAnswers: false,
        databaseProblem: `no answer within ${Duration.format(patience)}`,
        schema: { expected, actual: null },
        schemaStands: false
      })
    })
  )
  return Effect.cachedWithTTL(ask, freshness)
}
