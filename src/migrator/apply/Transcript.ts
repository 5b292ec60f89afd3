import * as Effect from "effect/Effect"
import type { Connection } from "../../platform/postgres/Connection.ts"

/** A connection that sends nothing and records the statements instead. */
export interface Transcript {
  readonly connection: Connection
  readonly lines: () => ReadonlyArray<string>
}

/** Ends a statement with a semicolon, on a line of its own if a comment would swallow it. */
export const terminated = (text: string): string =>
  (text.split("\n").at(-1) ?? "").includes("--") ? `${text}\n;` : `${text};`

/**
 * The only query whose result is used asks for the server's clock, once per revision. PostgreSQL reads `now` as the start of the
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
 * Writes a value as an SQL literal, since a script has no parameters. Strings need `standard_conforming_strings`
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

/** Replaces the parameters of one of the migrator's own statements, whose text has no other `$`. */
export const withLiterals = (text: string, values: ReadonlyArray<unknown>): string =>
  text.replace(/\$(\d+)/g, (_, number: string) => literal(values[Number(number) - 1]))
