import * as Effect from "effect/Effect"
import type { Connection } from "../../platform/postgres/Connection.ts"
import { withLiterals } from "./Literal.ts"

/** A connection to nowhere that writes down what would be sent. */
export interface Transcript {
  readonly connection: Connection
  readonly lines: () => ReadonlyArray<string>
}

/** A comment at the end of a statement must not swallow the semicolon. */
export const terminated = (text: string): string =>
  (text.split("\n").at(-1) ?? "").includes("--") ? `${text}\n;` : `${text};`

/**
 * The server's clock is asked once per revision, for when it started. `now` is what PostgreSQL reads as the start of the
 * current transaction, when the script runs.
 */
const clock = [{ now: "now" }]

export const makeTranscript = (): Transcript => {
  const lines: Array<string> = []
  const write = (text: string) => Effect.sync(() => void lines.push(terminated(text.trim())))
  return {
    lines: () => lines,
    connection: {
      backendPid: 0,
      isOpen: () => true,
      query: (text, values) =>
        Effect.as(write(values === undefined ? text : withLiterals(text, values)), { rows: clock, rowCount: 1 }),
      copyIn: () => Effect.dieMessage("a script has no COPY"),
      transaction: (body) => Effect.zipRight(write("begin"), Effect.zipLeft(body, write("commit"))),
      destroy: Effect.void
    }
  }
}
