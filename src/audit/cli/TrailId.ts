import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { databaseError } from "../../platform/postgres/DatabaseError.ts"
import { TrailUnreachable } from "../store/TrailUnreachable.ts"

const decode = Schema.decodeUnknown(Schema.Tuple(Schema.Struct({ id: Schema.String })))

/** The id of the trail that a database holds, a uuid. Answers within five seconds, whatever the database does. */
export const trailIdOf = (sql: SqlClient.SqlClient): Effect.Effect<string, TrailUnreachable> =>
  sql`select id from gatekeeper.audit_trail`.withoutTransform.pipe(
    Effect.mapError((cause) => new TrailUnreachable({ reason: databaseError("statement", cause).reason })),
    Effect.disconnect,
    Effect.timeoutFail({
      duration: "5 seconds",
      onTimeout: () => new TrailUnreachable({ reason: "the database did not answer in time" })
    }),
    Effect.flatMap((rows) => Effect.orDie(decode(rows))),
    Effect.map(([{ id }]) => id)
  )
