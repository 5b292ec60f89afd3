import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { Row } from "../../src/platform/postgres/Connection.ts"
import { connect } from "../../src/platform/postgres/Connection.ts"

/** The rows of one statement, which runs in a session of its own. */
export const query = (url: Redacted.Redacted, text: string, values: ReadonlyArray<unknown> = []) =>
  connect({ url, applicationName: "gravitas test" }).pipe(
    Effect.flatMap((connection) => connection.query(text, values)),
    Effect.map(({ rows }): ReadonlyArray<Row> => rows),
    Effect.scoped
  )

/** As `query`, where no failure is expected. */
export const rowsOf = (url: Redacted.Redacted, text: string, values: ReadonlyArray<unknown> = []) =>
  Effect.orDie(query(url, text, values))
