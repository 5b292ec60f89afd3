import type { ServiceName } from "../../domain/Service.ts"
import { toolVersion } from "../MigratorOptions.ts"
import { literal } from "./Transcript.ts"

/**
 * A block that stops what it stands in: its error fails the transaction around it. Outside of one nothing but the client can
 * keep the next statement from running, so the script's head tells psql to stop (OfflineScript.ts).
 */
const block = (...lines: ReadonlyArray<string>): string =>
  ["do $gravitas$", "begin", ...lines.map((line) => `  ${line}`), "end $gravitas$;"].join("\n")

const lockKey = (service: ServiceName): string =>
  `pg_catalog.hashtextextended(${literal(`migrate:${service}:${service}`)}, 0)`

const refuse = (problem: string): string => `raise exception ${literal(problem)};`

/** Takes the lock that every migrator takes, for the session; it must not wait (see SchemaLock.ts). */
export const takeLock = (service: ServiceName): string =>
  block(
    `if not pg_catalog.pg_try_advisory_lock(${lockKey(service)}) then`,
    `  ${refuse(`another process migrates ${service}; start again when it has ended`)}`,
    "end if;"
  )

export const releaseLock = (service: ServiceName): string =>
  `select pg_catalog.pg_advisory_unlock(${lockKey(service)});`

/** Stops a transaction that does not hold the lock, or whose schema is not where the script left it. */
export const guard = (service: ServiceName, standing: string): string =>
  block(
    `if not pg_catalog.pg_try_advisory_xact_lock(${lockKey(service)}) then`,
    `  ${refuse(`another process migrates ${service}`)}`,
    "end if;",
    `if (select name from ${service}.schema_version) is distinct from ${literal(standing)} then`,
    `  ${refuse(
      `${service} is not at ${standing}, where this part of the script begins; see pnpm migrate --service ${service} status, ` +
        "and render the script from there"
    )}`,
    "end if;"
  )

/** The history tables must have the form that this script writes. */
export const guardForm = (service: ServiceName): string =>
  block(
    `if (select max(tool_version) from ${service}.schema_event where event = 'prepared') is distinct from ${toolVersion} then`,
    `  ${refuse(
      `the history tables of ${service} have another format than ${toolVersion}; bring them to it with pnpm migrate --service ${service}`
    )}`,
    "end if;"
  )

/** Makes the schema and its history tables where there are none, and refuses a schema that somebody else made. */
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
 * A question that answers no row, or a row whose first column is not true, stops the script as it stops a run. `to_jsonb` of
 * the row makes all of it be computed.
 */
export const asserted = (statement: string, place: string): string =>
  block(
    "if (select coalesce(pg_catalog.bool_and(pg_catalog.to_jsonb(assertion) is not null",
    `    and coalesce(pg_catalog.to_jsonb(answer) = 'true'::jsonb, false)), false) from (\n${statement}\n) as assertion (answer)) is not true then`,
    `  raise exception ${literal(`the assertion answered no row, or not true: ${place}`)} using errcode = 'P0004';`,
    "end if;"
  )
