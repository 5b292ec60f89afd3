import * as Fs from "node:fs/promises"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { connect } from "../../../src/platform/postgres/Connection.ts"

/** The table of a peer that keeps its decisions in PostgreSQL. */
export const decisionTable = {
  name: "decision",
  columns: [
    "id",
    "at",
    "ghost_id",
    "shell_id",
    "action",
    "resource",
    "result",
    "reason",
    "request_id",
    "metadata"
  ] as const,
  create: `create table decision (
    id uuid primary key, at timestamptz not null, ghost_id text, shell_id text, action text not null, resource text not null,
    result text not null, reason text not null, request_id text, metadata jsonb not null)`
}

/** Where the decisions of a server are kept. */
export interface DecisionStore {
  readonly database: Redacted.Redacted
  readonly file: string
}

const idsIn = (database: Redacted.Redacted, query: string) =>
  connect({ url: database, applicationName: "gravitas bench", deadline: "1 minute" }).pipe(
    Effect.flatMap((connection) => connection.query(query)),
    Effect.map(({ rows }): ReadonlyArray<string> => rows.map((row) => String(row["id"]))),
    Effect.orDie,
    Effect.scoped
  )

const decodeLine = Schema.decodeUnknownSync(Schema.parseJson(Schema.Struct({ id: Schema.String })))

/** A line that the kill cut off has no end, and is not a record. */
const idsInLines = (file: string) =>
  Effect.promise(() => Fs.readFile(file, "utf8")).pipe(
    Effect.map((text): ReadonlyArray<string> => {
      const lines = text.split("\n").slice(0, -1)
      return lines.map((line) => decodeLine(line).id)
    })
  )

/** The ids of all decisions that are kept, by the way in which a server keeps them. */
export const keptIds = {
  trail: ({ database }: DecisionStore) =>
    idsIn(database, "select id::text as id from gatekeeper.audit_log where action = 'execute'"),
  table: ({ database }: DecisionStore) => idsIn(database, `select id::text as id from ${decisionTable.name}`),
  file: ({ file }: DecisionStore) => idsInLines(file)
} as const
