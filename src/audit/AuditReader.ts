import type * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { OpenRecord } from "../contracts/OpenRecord.ts"
import { Database } from "../platform/postgres/Database.ts"
import { limitedRead } from "../platform/postgres/LimitedRead.ts"
import { AuditId, clockTolerance, uuidFloor } from "./encoding/AuditId.ts"
import { auditColumns, selectedColumns, type TextColumn } from "./encoding/AuditRow.ts"
import { boundText } from "./encoding/BoundedText.ts"
import { TrailUnreachable } from "./store/TrailUnreachable.ts"

/** A row of the trail, as the driver returns it: bigint as text, timestamptz as Date. */
export const RecordedEvent = Schema.Struct({
  id: AuditId,
  timestamp: Schema.DateTimeUtcFromDate,
  source: Schema.String,
  seq: Schema.NumberFromString,
  ghostId: Schema.NullOr(Schema.String),
  shellId: Schema.NullOr(Schema.String),
  action: Schema.NullOr(Schema.String),
  resource: Schema.NullOr(Schema.String),
  result: Schema.String,
  reason: Schema.NullOr(Schema.String),
  requestId: Schema.NullOr(Schema.String),
  metadata: OpenRecord,
  marks: Schema.Array(Schema.String),
  /** SHA-256 of the event's canonical JSON, 64 hexadecimal digits. */
  leafHash: Schema.String
})

/** A row, and who wrote it. */
const AttributedEvent = Schema.Struct({
  ...RecordedEvent.fields,
  /** The ghost that owns the row's source; null where a process of the gatekeeper wrote the row. */
  identity: Schema.NullOr(Schema.String)
})
export type AttributedEvent = typeof AttributedEvent.Type

/** A row with the names of `GET /audit/events`. */
export const eventView = (event: AttributedEvent) => ({
  id: event.id,
  timestamp: DateTime.formatIso(event.timestamp),
  source: event.source,
  identity: event.identity,
  seq: event.seq,
  ghost_id: event.ghostId,
  shell_id: event.shellId,
  action: event.action,
  resource: event.resource,
  result: event.result,
  reason: event.reason,
  request_id: event.requestId,
  metadata: event.metadata,
  marks: event.marks,
  leaf_hash: event.leafHash
})

/** `found` counts the rows that the page would have without its bound of bytes. */
const decodeRows = Schema.decodeUnknown(
  Schema.Array(Schema.Struct({ ...AttributedEvent.fields, found: Schema.NumberFromString }))
)

/** Conditions that all hold. Text is cut and cleaned as when it was recorded, so that it is found. */
export interface EventQuery {
  readonly ghostId?: string | undefined
  readonly action?: string | undefined
  readonly resource?: string | undefined
  readonly result?: string | undefined
  readonly requestId?: string | undefined
  /** Inclusive. */
  readonly from?: DateTime.Utc | undefined
  /** Exclusive. */
  readonly to?: DateTime.Utc | undefined
  /** From 1 to `maximumPageSize`; other values are moved into that range. */
  readonly limit: number
  /** `next` of the previous page. */
  readonly cursor?: string | undefined
}

export interface EventPage {
  /** Newest first. */
  readonly events: ReadonlyArray<AttributedEvent>
  /** Null on the last page. */
  readonly next: string | null
}

const maximumPageSize = 1_000

/**
 * Bytes of metadata and marks on a page, its first row aside: more than a full page of rows that the recorder made. Before the
 * gatekeeper bounded the rows of other processes, a row could have megabytes.
 */
const maximumPageBytes = 8 * 1024 * 1024

/** The cursor was not returned by this trail. */
export class UnreadableCursor extends Schema.TaggedError<UnreadableCursor>()("UnreadableCursor", {
  cursor: Schema.String
}) {
  override get message(): string {
    return "the cursor was not returned by this trail. Ask without it for the first page"
  }
}

/** Encodes an id in 22 opaque characters. */
const cursorOf = (id: AuditId): string => Encoding.encodeBase64Url(Buffer.from(id.replaceAll("-", ""), "hex"))

/** Decodes the id in a cursor. Callers check a cursor with this before they begin an answer. */
export const readCursor = (cursor: string): Either.Either<string, UnreadableCursor> =>
  Either.flatMap(
    Either.mapLeft(Encoding.decodeBase64Url(cursor), () => undefined),
    (bytes) => {
      const hex = Buffer.from(bytes).toString("hex")
      const id = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")
      return Schema.is(AuditId)(id) ? Either.right(id) : Either.left(undefined)
    }
  ).pipe(Either.mapLeft(() => new UnreadableCursor({ cursor: cursor.slice(0, 100) })))

/**
 * The time in a row's id is never earlier than its timestamp, so `from` bounds it exactly. It may be later where the clock
 * stepped back, or where a millisecond had no ids left: `to` allows for both, and the timestamp decides.
 */
const clockAllowance = clockTolerance + 1

/** Moves a time into the range that an id's 48 bits and PostgreSQL can both hold. */
const boundedMillis = (time: DateTime.Utc): number => Math.min(Math.max(time.epochMillis, 0), 2 ** 48 - 1)

/**
 * Makes the statement of a page: the newest `limit` rows with ids below `before`, fewer where they exceed `maximumPageBytes`. The
 * server measures the rows, so that large ones never reach this process.
 */
export const pageStatement = (
  sql: SqlClient.SqlClient,
  query: EventQuery,
  before: string | undefined,
  limit: number
) => {
  const equals = (column: TextColumn, value: string | undefined) =>
    value === undefined ? undefined : sql`${sql(column)} = ${boundText(value, auditColumns[column].limit).text}`
  const from = query.from === undefined ? undefined : boundedMillis(query.from)
  const to = query.to === undefined ? undefined : boundedMillis(query.to)
  const conditions = [
    equals("ghost_id", query.ghostId),
    equals("action", query.action),
    equals("resource", query.resource),
    equals("result", query.result),
    equals("request_id", query.requestId),
    from === undefined ? undefined : sql`id >= ${uuidFloor(from)}::uuid and timestamp >= ${new Date(from)}`,
    to === undefined ? undefined : sql`id < ${uuidFloor(to + clockAllowance)}::uuid and timestamp < ${new Date(to)}`,
    before === undefined ? undefined : sql`id < ${before}::uuid`
  ].filter((condition) => condition !== undefined)
  return sql`
    select ${sql.literal(selectedColumns)}, found,
      (select identity from gatekeeper.audit_source as known where known.source = measured.source) as identity
    from (
      select *, count(*) over () as found, row_number() over newest as place,
        sum(octet_length(metadata::text) + octet_length(marks::text)) over newest as bytes
      from (
        select * from gatekeeper.audit_log
        where ${conditions.length === 0 ? sql`true` : sql.and(conditions)}
        order by id desc
        limit ${limit}
      ) as page
      window newest as (order by id desc rows unbounded preceding)
    ) as measured
    where place = 1 or bytes <= ${maximumPageBytes}
    order by id desc`
}

/** Reads the trail. */
export class AuditReader extends Context.Tag("audit/AuditReader")<
  AuditReader,
  {
    /** Reads one page, newest first. Returns or fails within a bounded time, whatever the database does. */
    readonly events: (query: EventQuery) => Effect.Effect<EventPage, TrailUnreachable | UnreadableCursor>
  }
>() {
  /** `deadline` bounds one page. */
  static readonly layerClient = (options: {
    readonly sql: SqlClient.SqlClient
    readonly deadline: Duration.DurationInput
  }): Layer.Layer<AuditReader> => Layer.succeed(AuditReader, make(options))

  /** From the gatekeeper's pool of readers. */
  static readonly layer: Layer.Layer<AuditReader, never, Database> = Layer.effect(
    AuditReader,
    Effect.map(Database, (database) => make({ sql: database.readers("gatekeeper"), deadline: "5 seconds" }))
  )
}

const make = (options: { readonly sql: SqlClient.SqlClient; readonly deadline: Duration.DurationInput }) =>
  AuditReader.of({
    events: Effect.fn("AuditReader.events")(function* (query) {
      const before = query.cursor === undefined ? undefined : yield* readCursor(query.cursor)
      const limit = Math.min(Math.max(Math.trunc(query.limit), 1), maximumPageSize)
      // One row more than requested shows whether there is a next page.
      const { deadline, sql } = options
      const found = yield* limitedRead(sql, deadline, pageStatement(sql, query, before, limit + 1)).pipe(
        Effect.mapError(({ reason }) => new TrailUnreachable({ reason }))
      )
      const events = yield* Effect.orDie(decodeRows(found.slice(0, limit)))
      const last = events.at(-1)
      const isMore = last !== undefined && last.found > events.length
      return { events, next: isMore ? cursorOf(last.id) : null }
    })
  })
