import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Connection } from "./Connection.ts"
import type { DatabaseError } from "./DatabaseError.ts"

/** Runs a query and decodes its rows. Rows of another shape are a defect: the schema was inspected at the start. */
export const queryRows = <A, I>(
  connection: Connection,
  rows: Schema.Schema<A, I>,
  text: string,
  values?: ReadonlyArray<unknown>
): Effect.Effect<A, DatabaseError> =>
  Effect.flatMap(connection.query(text, values), (found) => Effect.orDie(Schema.decodeUnknown(rows)(found.rows)))
