import * as Effect from "effect/Effect"
import type { Connection } from "../../platform/postgres/Connection.ts"

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

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`

/**
 * A value as PostgreSQL reads it in a script, where parameters cannot be sent. Strings need `standard_conforming_strings`
 * (the default); arrays become array literals of text, objects JSON.
 */
export const literal = (value: unknown): string => {
  if (value === null || value === undefined) return "null"
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return String(value)
  if (typeof value === "string") return quoted(value)
  if (value instanceof Date) return quoted(value.toISOString())
  if (Array.isArray(value)) {
    const items = value.map((item) =>
      item === null ? "null" : `"${String(item).replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`
    )
    return quoted(`{${items.join(",")}}`)
  }
  return quoted(JSON.stringify(value))
}

/** A statement of the migrator's own with its parameters in place. Its text holds no `$` but those of parameters. */
export const withLiterals = (text: string, values: ReadonlyArray<unknown>): string =>
  text.replace(/\$(\d+)/g, (_, number: string) => literal(values[Number(number) - 1]))
