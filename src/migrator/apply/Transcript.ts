import * as Effect from "effect/Effect"
import type { ServiceName } from "../../domain/Service.ts"
import type { Connection } from "../../platform/postgres/Connection.ts"
import { toolVersion } from "../MigratorOptions.ts"
import { lockKey } from "./SchemaLock.ts"

/** A connection that sends nothing and records the statements instead. */
export interface Transcript {
  readonly connection: Connection
  readonly lines: () => ReadonlyArray<string>
}

/** Ends a statement with a semicolon, on a line of its own if a comment would swallow it. */
export const terminated = (text: string): string =>
  (text.split("\n").at(-1) ?? "").includes("--") ? `${text}\n;` : `${text};`

/** The only result that is used is the clock. PostgreSQL reads `now` as the start of the transaction in which it runs. */
const clock = [{ now: "now" }]

export const makeTranscript = (): Transcript => {
  const lines: Array<string> = []
  const write = (text: string) => Effect.sync(() => void lines.push(terminated(text.trim())))
  const query: Connection["query"] = (text, values) =>
    Effect.as(write(values === undefined ? text : withLiterals(text, values)), { rows: clock, rowCount: 1 })
  return {
    lines: () => lines,
    connection: {
      backendPid: 0,
      isOpen: () => true,
      query,
      send: () => Effect.dieMessage("a script sends one statement after the other"),
      parse: () => Effect.dieMessage("a script has no server"),
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
const withLiterals = (text: string, values: ReadonlyArray<unknown>): string =>
  text.replace(/\$(\d+)/g, (_, number: string) => literal(values[Number(number) - 1]))

/**
 * A DO block whose error aborts the surrounding transaction. Outside a transaction only the client can stop the script, so its
 * header sets ON_ERROR_STOP for psql (OfflineScript.ts).
 */
const block = (...lines: ReadonlyArray<string>): string =>
  ["do $gravitas$", "begin", ...lines.map((line) => `  ${line}`), "end $gravitas$;"].join("\n")

const refuse = (problem: string): string => `raise exception ${literal(problem)};`

/** Takes the migration lock for the session, without waiting (see SchemaLock.ts). */
export const takeLock = (service: ServiceName): string =>
  block(
    `if not pg_catalog.pg_try_advisory_lock(${lockKey(service)}) then`,
    `  ${refuse(`another process migrates ${service}; start again when it has ended`)}`,
    "end if;"
  )

export const releaseLock = (service: ServiceName): string =>
  `select pg_catalog.pg_advisory_unlock(${lockKey(service)});`

/** Aborts a transaction that does not hold the lock, or whose schema is not at `current`. */
export const guard = (service: ServiceName, current: string): string =>
  block(
    `if not pg_catalog.pg_try_advisory_xact_lock(${lockKey(service)}) then`,
    `  ${refuse(`another process migrates ${service}`)}`,
    "end if;",
    `if (select name from ${service}.schema_version) is distinct from ${literal(current)} then`,
    `  ${refuse(
      `${service} is not at ${current}, where this part of the script begins; see pnpm migrate --service ${service} status, ` +
        "and render the script from there"
    )}`,
    "end if;"
  )

/** Aborts unless the history tables have the format that this script writes. */
export const guardFormat = (service: ServiceName): string =>
  block(
    `if (select max(tool_version) from ${service}.schema_event where event = 'prepared') is distinct from ${toolVersion} then`,
    `  ${refuse(
      `the history tables of ${service} do not have format ${toolVersion}; bring them to it with pnpm migrate --service ${service}`
    )}`,
    "end if;"
  )

/** Creates the schema and its history tables if they do not exist; refuses a schema with tables but no history. */
export const prepare = (service: ServiceName, statements: ReadonlyArray<string>): string =>
  block(
    `if pg_catalog.to_regclass(${literal(`${service}.schema_history`)}) is null then`,
    `  if pg_catalog.to_regnamespace(${literal(service)}) is null then`,
    `    create schema ${service};`,
    "  end if;",
    "  if exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace",
    `      where n.nspname = ${literal(service)} and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')) then`,
    `    ${refuse(
      `the schema ${service} is not empty and has no migration history; adopt it with pnpm migrate --service ${service} stamp`
    )}`,
    "  end if;",
    ...statements.map((statement) => `  execute ${literal(statement)};`),
    "end if;"
  )

/**
 * An assertion that returns no row, or a row whose first column is not true, stops the script as it stops a run. `to_jsonb`
 * makes PostgreSQL compute every column of the row.
 */
export const asserted = (statement: string, location: string): string =>
  block(
    "if (select coalesce(pg_catalog.bool_and(pg_catalog.to_jsonb(assertion) is not null",
    `    and coalesce(pg_catalog.to_jsonb(answer) = 'true'::jsonb, false)), false) from (\n${statement}\n) as assertion (answer)) is not true then`,
    `  raise exception ${literal(`the assertion returned no row, or a value other than true: ${location}`)} using errcode = 'P0004';`,
    "end if;"
  )
