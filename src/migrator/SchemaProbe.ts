import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { ServiceName } from "../domain/Service.ts"
import { Database } from "../platform/Database.ts"
import { databaseError } from "../platform/DatabaseError.ts"

export interface SchemaState {
  readonly databaseAnswers: boolean
  /** Why it does not. */
  readonly databaseProblem?: string
  /** The current revision as the application's connection reads it; null where it cannot. */
  readonly actual: string | null
}

/** A database that needs longer for one row counts as away. */
const patience = Duration.seconds(1)

/** Probes come from balancers, many at a time: one question serves all that ask within this time. */
const freshness = Duration.millis(250)

const Version = Schema.NonEmptyArray(Schema.Struct({ name: Schema.String }))

/**
 * Asks the application's own connection for the current revision: one question that tells whether the database answers
 * this service, and what it stands on. Answers within a second or so, whatever the database does.
 */
export const schemaProbe = (
  service: ServiceName
): Effect.Effect<Effect.Effect<SchemaState>, never, Database> =>
  Effect.gen(function* () {
    const database = yield* Database
    const sql = database.pool(service)
    const ask = sql.unsafe(`select name from ${service}.schema_version`).pipe(
      Effect.flatMap(Schema.decodeUnknown(Version)),
      Effect.map(([{ name }]): SchemaState => ({ databaseAnswers: true, actual: name })),
      // The question to a stopped server cannot be taken back, so it is left behind rather than waited for.
      Effect.disconnect,
      Effect.timeoutFail({
        duration: patience,
        onTimeout: () => new Error(`no answer within ${Duration.format(patience)}`)
      }),
      Effect.catchAll((cause) => {
        const error = databaseError("statement", cause)
        return Effect.succeed<SchemaState>({
          databaseAnswers: error.sqlstate !== undefined && !/^(08|53|57P)/.test(error.sqlstate),
          databaseProblem: error.message,
          actual: null
        })
      })
    )
    return yield* Effect.cachedWithTTL(ask, freshness)
  })
