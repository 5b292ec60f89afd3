import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { AuditId } from "./AuditId.ts"

/** A row of the trail. */
export const RecordedEvent = Schema.Struct({
  id: AuditId,
  timestamp: Schema.DateTimeUtcFromSelf,
  source: Schema.String,
  seq: Schema.Number,
  ghostId: Schema.NullOr(Schema.String),
  shellId: Schema.NullOr(Schema.String),
  action: Schema.NullOr(Schema.String),
  resource: Schema.NullOr(Schema.String),
  result: Schema.String,
  reason: Schema.NullOr(Schema.String),
  requestId: Schema.NullOr(Schema.String),
  metadata: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
  marks: Schema.Array(Schema.String),
  /** SHA-256 of the event's canonical JSON, 64 hexadecimal digits. */
  leafHash: Schema.String
})
export type RecordedEvent = typeof RecordedEvent.Type

/** Which events: all given conditions hold. */
export interface EventQuery {
  readonly ghostId?: string | undefined
  readonly action?: string | undefined
  readonly resource?: string | undefined
  readonly result?: string | undefined
  /** Inclusive. */
  readonly from?: DateTime.Utc | undefined
  /** Exclusive. */
  readonly to?: DateTime.Utc | undefined
  /** From 1 to `maximumPageSize`; held to that range. */
  readonly limit: number
  /** `next` of the page before. */
  readonly cursor?: string | undefined
}

export interface EventPage {
  /** Newest first. */
  readonly events: ReadonlyArray<RecordedEvent>
  /** Null on the last page. */
  readonly next: string | null
}

export const maximumPageSize = 1_000

/** The database could not be asked. This is never an empty page. */
export class TrailUnreachable extends Schema.TaggedError<TrailUnreachable>()("TrailUnreachable", {
  reason: Schema.String
}) {
  override get message(): string {
    return `the audit trail cannot be read: ${this.reason}. Check that PostgreSQL answers, then ask again`
  }
}

export class UnreadableCursor extends Schema.TaggedError<UnreadableCursor>()("UnreadableCursor", {
  cursor: Schema.String
}) {
  override get message(): string {
    return "the cursor is not one that this trail gave. Ask again without it for the first page"
  }
}

/** Reads the trail. */
export class AuditReader extends Context.Tag("audit/AuditReader")<
  AuditReader,
  {
    /** One page, newest first. Answers within a bounded time, whatever the database does. */
    readonly events: (query: EventQuery) => Effect.Effect<EventPage, TrailUnreachable | UnreadableCursor>
  }
>() {}
