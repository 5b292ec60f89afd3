import type * as SqlClient from "@effect/sql/SqlClient"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { EndReason } from "../../contracts/guardian/GuardianSchemas.ts"
import { OpenRecord } from "../../contracts/OpenRecord.ts"

/** A row of `guardian.session`. */
export const SessionRow = Schema.Struct({
  no: Schema.String,
  sessionId: Schema.String,
  agent: Schema.String,
  startedAt: Schema.DateTimeUtcFromDate,
  lastSeenAt: Schema.DateTimeUtcFromDate,
  endedAt: Schema.NullOr(Schema.DateTimeUtcFromDate),
  /** Never `withdrawn`: such a session is as if it had not been, and no query returns it. */
  endReason: Schema.NullOr(EndReason),
  outputFile: Schema.NullOr(Schema.String),
  requestId: Schema.NullOr(Schema.String),
  metadata: OpenRecord
})
export type SessionRow = typeof SessionRow.Type

const decode = Schema.decodeUnknown(Schema.Array(SessionRow))

export const sessionRows = (rows: unknown): Effect.Effect<ReadonlyArray<SessionRow>> => Effect.orDie(decode(rows))

export const sessionColumns = (sql: SqlClient.SqlClient) => sql`
  session.id::text as no, session.session_id as "sessionId", session.agent, session.started_at as "startedAt",
  session.last_seen_at as "lastSeenAt", session.ended_at as "endedAt", session.end_reason as "endReason",
  session.output_file as "outputFile", session.request_id as "requestId", session.metadata`

/** The session as the contract has it. */
export const sessionView = (row: SessionRow) => ({
  session_id: row.sessionId,
  agent: row.agent,
  active: row.endedAt === null,
  started_at: DateTime.formatIso(row.startedAt),
  last_seen_at: DateTime.formatIso(row.lastSeenAt),
  ended_at: row.endedAt === null ? null : DateTime.formatIso(row.endedAt),
  end_reason: row.endReason,
  output_file: row.outputFile,
  request_id: row.requestId,
  metadata: row.metadata
})

/** Completes "the session x …". */
export const sessionState = (row: SessionRow): string =>
  row.endedAt === null
    ? `is active since ${DateTime.formatIso(row.startedAt)}`
    : `ended at ${DateTime.formatIso(row.endedAt)} (${row.endReason})`
