import type * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { ApiError } from "../../contracts/ApiError.ts"
import type { Role, Tier } from "../../contracts/router/ChatSchemas.ts"
import { HistoryRow } from "../../contracts/router/RouterApi.ts"
import { storable } from "../../domain/Text.ts"
import { withinLimit } from "../../platform/os/Deadline.ts"
import { Database } from "../../platform/postgres/Database.ts"
import { type DatabaseError, databaseError } from "../../platform/postgres/DatabaseError.ts"
import { limitedRead } from "../../platform/postgres/LimitedRead.ts"
import { traced } from "../../platform/telemetry/Traced.ts"

export interface NewHistoryRow {
  readonly role: Role
  /** Null where content is not stored, or there is none. */
  readonly content: string | null
  /** The whole message as JSON, where content is stored and the message is more than a text. */
  readonly message: string | null
  readonly ghostId: string
  readonly shellId: string
  readonly requestedModel: string
  readonly tier: Tier
  readonly provider: string
  readonly outcome: "completed" | "failed" | "aborted"
  readonly finishReason: string | null
  readonly promptTokens: number | null
  readonly completionTokens: number | null
  /** Whether the tokens are an estimate; null where there are none. */
  readonly usageEstimated: boolean | null
  readonly requestId: string
}

/** A row that is about to be written. If it is sent again under its id, it is written once. */
export interface SentHistoryRow extends NewHistoryRow {
  /** A UUID. */
  readonly messageId: string
}

const decodeRows = Schema.decodeUnknown(
  Schema.Array(Schema.Struct({ ...HistoryRow.fields, timestamp: Schema.DateTimeUtcFromDate, found: Schema.Number }))
)

interface HistoryQuery {
  readonly ghost: string
  /** From 1 to 1000. */
  readonly limit: number
  /** The id after which rows are left out; undefined: from the newest row. */
  readonly before: string | undefined
}

/** Bytes of content after which a page ends, so that a thousand long messages cannot fill the memory. The last may go beyond. */
const maximumPageBytes = 8 * 1024 * 1024

/** The database could not be asked. This is never an empty page. */
class HistoryUnreachable extends ApiError("HistoryUnreachable", "database_unavailable") {}

const insert = (sql: SqlClient.SqlClient, rows: ReadonlyArray<SentHistoryRow>) => {
  const values = rows.map((row, place) => ({
    ...row,
    place,
    content: row.content === null ? null : storable(row.content)
  }))
  // The identity follows the order in which rows arrive, so a conversation reads in its order by id.
  return sql`
    insert into router.history (role, content, ghost_id, shell_id, requested_model, tier, provider, outcome, finish_reason,
      prompt_tokens, completion_tokens, request_id, message_id, message, usage_estimated)
    select role, content, "ghostId", "shellId", "requestedModel", tier, provider, outcome, "finishReason",
      "promptTokens", "completionTokens", "requestId", "messageId", message::jsonb, "usageEstimated"
    from jsonb_to_recordset(${JSON.stringify(values)}::jsonb) as given (
      place integer, role text, content text, "ghostId" text, "shellId" text, "requestedModel" text, tier text,
      provider text, outcome text, "finishReason" text, "promptTokens" integer, "completionTokens" integer,
      "requestId" text, "messageId" uuid, message text, "usageEstimated" boolean)
    order by place
    on conflict (message_id) where message_id is not null do nothing`
}

/**
 * Reads one row more than asked, to see whether there is a next page; `found` also counts rows beyond the page's bytes. The order is
 * by `sized.id`: `id` alone would be the selected text, in which 9 sorts above 13.
 */
const select = (sql: SqlClient.SqlClient, { before, ghost, limit }: HistoryQuery) =>
  sql`
  select id::text, timestamp, role, content, ghost_id, shell_id, requested_model, tier, provider, outcome, finish_reason,
    prompt_tokens, completion_tokens, request_id, message, usage_estimated, found
  from (
    select *, (count(*) over ())::integer as found,
      sum(coalesce(octet_length(content), 0) + coalesce(octet_length(message::text), 0)) over (order by id desc rows between unbounded preceding and 1 preceding) as newer_bytes
    from (
      select * from router.history
      where ghost_id = ${ghost} and ${before === undefined ? sql`true` : sql`id < ${before}::bigint`}
      order by id desc
      limit ${limit + 1}
    ) as newest
  ) as sized
  where coalesce(newer_bytes, 0) < ${maximumPageBytes}
  order by sized.id desc`

interface HistoryOptions {
  readonly sql: SqlClient.SqlClient
  readonly readers: SqlClient.SqlClient
  readonly deadline: Duration.DurationInput
}

/** The table of messages. */
export class History extends Context.Tag("router/history/History")<
  History,
  {
    /** Writes the rows in their order, all or none. A row that was written before is left as it is. */
    readonly append: (rows: ReadonlyArray<SentHistoryRow>) => Effect.Effect<void, DatabaseError>
    /** Reads a page, newest first, shorter than asked where its messages are long; `hasMore`: older rows follow. Unrecorded fields are null. */
    readonly read: (
      query: HistoryQuery
    ) => Effect.Effect<
      { readonly rows: ReadonlyArray<typeof HistoryRow.Type>; readonly hasMore: boolean },
      HistoryUnreachable
    >
  }
>() {
  /** `deadline` bounds each statement. */
  static readonly layerClient = (options: HistoryOptions): Layer.Layer<History> => Layer.succeed(History, make(options))

  /** From the router's pools. */
  static readonly layer: Layer.Layer<History, never, Database> = Layer.effect(
    History,
    Effect.map(Database, (database) =>
      make({ sql: database.pool("router"), readers: database.readers("router"), deadline: "5 seconds" })
    )
  )
}

const make = ({ deadline, readers, sql }: HistoryOptions) => {
  /** A stopped server does not answer a cancel request either, so the caller waits for neither. */
  const bounded = <A, E>(statement: Effect.Effect<A, E>) =>
    statement.pipe(
      Effect.mapError((cause) => databaseError("statement", cause)),
      withinLimit({
        duration: Duration.decode(deadline),
        onTimeout: () => databaseError("statement", new Error("the database did not answer in time"))
      })
    )
  return History.of({
    append: traced("History.append")((rows: ReadonlyArray<SentHistoryRow>) =>
      Effect.asVoid(bounded(insert(sql, rows)))
    ),
    read: Effect.fn("History.read")(function* (query) {
      const found = yield* limitedRead(readers, deadline, select(readers, query)).pipe(
        Effect.mapError(
          ({ reason }) =>
            new HistoryUnreachable({
              reason: `the history cannot be read: ${reason}. Check that PostgreSQL answers, then ask again`
            })
        )
      )
      const decoded = yield* Effect.orDie(decodeRows(found))
      const rows = decoded
        .slice(0, query.limit)
        .map(({ found: _, timestamp, ...row }) => ({ ...row, timestamp: DateTime.formatIso(timestamp) }))
      return { rows, hasMore: (decoded[0]?.found ?? 0) > rows.length }
    })
  })
}
