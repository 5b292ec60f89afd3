import type * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { EndReason } from "../../contracts/guardian/GuardianSchemas.ts"
import { OpenRecord } from "../../contracts/OpenRecord.ts"
import { traced } from "../../platform/telemetry/Traced.ts"
import type { ActiveCertificate } from "../certificates/Certificates.ts"
import {
  bounded,
  type DatabaseUnavailable,
  deadline,
  decodedRows,
  GuardianDatabase,
  type PageQuery,
  rowsOf
} from "../GuardianDatabase.ts"

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

const sessionRows = rowsOf(SessionRow)
const decodedSessions = decodedRows(SessionRow)

/** A session that its process keeps alive. */
const KeptSession = Schema.Struct({
  ...SessionRow.fields,
  /** Whether the certificate that it started with is in force, as far as its row says. */
  isCertified: Schema.Boolean
})
export type KeptSession = typeof KeptSession.Type

const keptRows = rowsOf(KeptSession)

const columnsText = `
  session.id::text as no, session.session_id as "sessionId", session.agent, session.started_at as "startedAt",
  session.last_seen_at as "lastSeenAt", session.ended_at as "endedAt", session.end_reason as "endReason",
  session.output_file as "outputFile", session.request_id as "requestId", session.metadata`

const sessionColumns = (sql: SqlClient.SqlClient) => sql.literal(columnsText)

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

export interface NewSession {
  readonly sessionId: string
  readonly agent: string
  readonly certificate: ActiveCertificate
  readonly requestId: string
  readonly metadata: Readonly<Record<string, unknown>>
}

/** Names a session: a name is its agent's own. */
export interface AgentSession {
  readonly sessionId: string
  readonly agent: string
}

interface SessionsQuery extends PageQuery {
  readonly active?: boolean | undefined
}

/** Stale sessions that one statement ends: it holds their rows locked, so a backlog is ended in batches. */
export const expiryBatch = 500

/** Starts a session where its certificate is still in force; its row stays locked until the commit. */
const insertSession = `
  with certified as (
    select id from guardian.certificate
    where id = $1::bigint and revoked_at is null and expires_at > clock_timestamp()
      and signature = $2
      -- A statement that the server reads after the caller's deadline starts nothing.
      and clock_timestamp() < to_timestamp($3::bigint / 1000000.0) + make_interval(secs => ${Duration.toSeconds(deadline)})
    for share
  )
  insert into guardian.session (session_id, agent, certificate_id, request_id, metadata)
  select $4, $5, certified.id, $6, $7::jsonb from certified
  on conflict (session_id, agent) do update
    set certificate_id = excluded.certificate_id, request_id = excluded.request_id,
      metadata = excluded.metadata, started_at = excluded.started_at, last_seen_at = excluded.last_seen_at,
      ended_at = null, end_reason = null, output_file = null
    where session.end_reason = 'withdrawn'
  returning id`

const valuesOf = ({ agent, certificate, metadata, requestId, sessionId }: NewSession): ReadonlyArray<unknown> => [
  ...[certificate.no, certificate.signature, String(certificate.readMicros)],
  ...[sessionId, agent, requestId, JSON.stringify(metadata)]
]

const selectSession = `
  select ${columnsText} from guardian.session
  where session_id = $1 and agent = $2 and end_reason is distinct from 'withdrawn'`

/** At most two sessions of a name; that of the agent `$2` comes first. */
const selectNamed = `
  select ${columnsText} from guardian.session
  where session_id = $1 and end_reason is distinct from 'withdrawn'
  order by agent = $2 desc, id limit 2`

const completeSession = `
  update guardian.session set ended_at = greatest(started_at, clock_timestamp()), end_reason = 'completed', output_file = $3
  where session_id = $1 and agent = $2 and ended_at is null
  returning ${columnsText}`

/** Sessions as a set of rows; `Sql` has no parameter for a list. */
const asked = (sql: SqlClient.SqlClient, sessions: ReadonlyArray<AgentSession>) => {
  const rows = sessions.map(({ agent, sessionId }) => ({ agent, name: sessionId }))
  return sql`asked as (select agent, name from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as given (agent text, name text))`
}

const isAsked = (sql: SqlClient.SqlClient) => sql`session.session_id = asked.name and session.agent = asked.agent`

/** A row is written only when an eighth of the timeout has passed: the names come each second. */
const keepAlive = (sql: SqlClient.SqlClient, sessions: ReadonlyArray<AgentSession>, timeout: Duration.Duration) => sql`
  with ${asked(sql, sessions)},
  beaten as (
    update guardian.session set last_seen_at = greatest(last_seen_at, clock_timestamp())
    from asked
    where ${isAsked(sql)} and ended_at is null
      and last_seen_at < clock_timestamp() - make_interval(secs => ${Duration.toSeconds(timeout) / 8})
  )
  select ${sessionColumns(sql)},
    exists (
      select from guardian.certificate
      where certificate.id = session.certificate_id and revoked_at is null and expires_at > clock_timestamp()
    ) as "isCertified"
  from asked join guardian.session on ${isAsked(sql)}
  where end_reason is distinct from 'withdrawn'`

const finishAll = (sql: SqlClient.SqlClient, sessions: ReadonlyArray<AgentSession>) => sql`
  with ${asked(sql, sessions)}
  update guardian.session set ended_at = greatest(started_at, clock_timestamp()), end_reason = 'completed'
  from asked where ${isAsked(sql)} and ended_at is null
  returning ${sessionColumns(sql)}`

const expireStale = (sql: SqlClient.SqlClient, silentFor: Duration.Duration) => sql`
  with stale as (
    select id from guardian.session
    where ended_at is null and last_seen_at < clock_timestamp() - make_interval(secs => ${Duration.toSeconds(silentFor)})
    order by last_seen_at
    limit ${expiryBatch}
    for update skip locked
  )
  update guardian.session set ended_at = clock_timestamp(), end_reason = 'expired'
  from stale where session.id = stale.id
  returning ${sessionColumns(sql)}`

/** Stores the sessions in PostgreSQL. Each change is one statement, so that several guardians may work at once. */
export class Sessions extends Context.Tag("guardian/Sessions")<
  Sessions,
  {
    /**
     * Returns false when the name is used, or when the certificate ceased to be in force or was read too long ago. It locks the
     * certificate's row until its commit, so that a revocation comes before the session or ends it.
     */
    readonly start: (starting: NewSession) => Effect.Effect<boolean, DatabaseUnavailable>
    /** Withdraws a start that no client was told of: its name can be used again. */
    readonly withdraw: (starting: NewSession) => Effect.Effect<void, DatabaseUnavailable>
    readonly find: (which: AgentSession) => Effect.Effect<SessionRow | undefined, DatabaseUnavailable>
    /** Sessions of that name of whichever agents: that of `first` first, and two at most. */
    readonly named: (
      sessionId: string,
      first: string | undefined
    ) => Effect.Effect<ReadonlyArray<SessionRow>, DatabaseUnavailable>
    /** Keeps an active session alive, and returns the session as it is now. Undefined when unknown. */
    readonly beat: (which: AgentSession) => Effect.Effect<SessionRow | undefined, DatabaseUnavailable>
    /** Completes an active session; returns one that has ended as it is. Undefined when unknown. */
    readonly end: (
      which: AgentSession,
      outputFile: string | null
    ) => Effect.Effect<SessionRow | undefined, DatabaseUnavailable>
    /** Keeps active sessions alive, and returns those that exist, over or not. */
    readonly keep: (
      sessions: ReadonlyArray<AgentSession>,
      timeout: Duration.Duration
    ) => Effect.Effect<ReadonlyArray<KeptSession>, DatabaseUnavailable>
    /** Completes active sessions, and returns them. */
    readonly finish: (
      sessions: ReadonlyArray<AgentSession>
    ) => Effect.Effect<ReadonlyArray<SessionRow>, DatabaseUnavailable>
    readonly list: (query: SessionsQuery) => Effect.Effect<ReadonlyArray<SessionRow>, DatabaseUnavailable>
    /** Ends up to `expiryBatch` sessions without a heartbeat for so long. Skips rows that another guardian has locked. */
    readonly expire: (silentFor: Duration.Duration) => Effect.Effect<ReadonlyArray<SessionRow>, DatabaseUnavailable>
  }
>() {
  static readonly layer = Layer.effect(
    Sessions,
    Effect.gen(function* () {
      const { query, read, sql } = yield* GuardianDatabase
      const columns = sessionColumns(sql)

      const find = traced("Sessions.find")(({ agent, sessionId }: AgentSession) =>
        Effect.map(decodedSessions(query(selectSession, [sessionId, agent])), ([found]) => found)
      )

      /** The row that `change` returned, else the session as it is. */
      const changed = (which: AgentSession, change: Effect.Effect<ReadonlyArray<SessionRow>, DatabaseUnavailable>) =>
        Effect.flatMap(change, ([row]) => (row === undefined ? find(which) : Effect.succeed(row)))

      return {
        find,
        named: traced("Sessions.named")((sessionId: string, first: string | undefined) =>
          decodedSessions(query(selectNamed, [sessionId, first ?? ""]))
        ),
        start: traced("Sessions.start")((session: NewSession) =>
          Effect.map(query(insertSession, valuesOf(session)), (rows) => rows.length > 0)
        ),
        withdraw: Effect.fn("Sessions.withdraw")(function* ({ agent, requestId, sessionId }) {
          yield* bounded(sql`
            update guardian.session set ended_at = greatest(started_at, clock_timestamp()), end_reason = 'withdrawn'
            where session_id = ${sessionId} and agent = ${agent} and request_id = ${requestId} and ended_at is null`)
        }),
        beat: Effect.fn("Sessions.beat")((which) =>
          changed(
            which,
            sessionRows(sql`
              update guardian.session set last_seen_at = greatest(last_seen_at, clock_timestamp())
              where session_id = ${which.sessionId} and agent = ${which.agent} and ended_at is null
              returning ${columns}`)
          )
        ),
        end: traced("Sessions.end")((which: AgentSession, outputFile: string | null) =>
          changed(which, decodedSessions(query(completeSession, [which.sessionId, which.agent, outputFile])))
        ),
        keep: Effect.fn("Sessions.keep")((sessions, timeout) =>
          sessions.length === 0 ? Effect.succeed([]) : keptRows(keepAlive(sql, sessions, timeout))
        ),
        finish: Effect.fn("Sessions.finish")((sessions) =>
          sessions.length === 0 ? Effect.succeed([]) : sessionRows(finishAll(sql, sessions))
        ),
        list: Effect.fn("Sessions.list")(({ active, agent, before, limit }) => {
          const conditions = [
            sql`end_reason is distinct from 'withdrawn'`,
            agent === undefined ? undefined : sql`agent = ${agent}`,
            active === undefined ? undefined : active ? sql`ended_at is null` : sql`ended_at is not null`,
            before === undefined ? undefined : sql`id < ${before}::bigint`
          ].filter((condition) => condition !== undefined)
          const page = sql`
            select ${columns} from guardian.session where ${sql.and(conditions)}
            order by id desc limit ${limit}`
          return sessionRows(page, read)
        }),
        expire: Effect.fn("Sessions.expire")((silentFor) => sessionRows(expireStale(sql, silentFor)))
      }
    })
  ).pipe(Layer.provide(GuardianDatabase.layer))
}
