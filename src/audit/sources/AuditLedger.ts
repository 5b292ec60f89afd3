import type * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Database } from "../../platform/postgres/Database.ts"
import { databaseError } from "../../platform/postgres/DatabaseError.ts"
import { TrailUnreachable } from "../AuditReader.ts"
import { receiptAction, receiptResource, receiptResult } from "../encoding/TrailEvents.ts"
import { clockDoubts, decodeGaps, type Gap, type GapQuery, gapStatement, maximumGaps } from "./GapSearch.ts"

/** What `audit_source` says of one incarnation. */
export const LedgerSource = Schema.Struct({
  source: Schema.String,
  /** The ghost that writes for it from outside; null where its process writes into the database itself. */
  identity: Schema.NullOr(Schema.String),
  /** `ingest`: of a client without numbers of its own. It has no process, and never ends. */
  kind: Schema.Literal("process", "ingest"),
  host: Schema.NullOr(Schema.String),
  pid: Schema.NullOr(Schema.Number),
  startedAt: Schema.NullOr(Schema.DateTimeUtcFromSelf),
  bootId: Schema.NullOr(Schema.String),
  durability: Schema.NullOr(Schema.String),
  /** Its last heartbeat, by the database's clock. */
  seenAt: Schema.NullOr(Schema.DateTimeUtcFromSelf),
  /** The greatest number that a row or a dead letter has. */
  lastSeq: Schema.Number,
  /** When it last wrote, by the database's clock. */
  lastAt: Schema.NullOr(Schema.DateTimeUtcFromSelf),
  /** Rows in `audit_log`. */
  committed: Schema.Number,
  /** Rows in `audit_dead_letter`, those that were replayed since included. */
  deadLettered: Schema.Number,
  /** Of `deadLettered`: in `audit_log` too, by now. */
  replayed: Schema.Number,
  quarantined: Schema.Number,
  /** False when a program that does not keep these counters wrote for it: then they are too low. */
  counted: Schema.Boolean,
  /** The gap detector has looked for each number up to this. */
  checkedSeq: Schema.Number,
  /** Numbers up to `checkedSeq` that are nowhere. */
  lost: Schema.Number,
  /** It ended without a word: whether it gave numbers after this one, nobody knows. */
  unsignedAfter: Schema.NullOr(Schema.Number),
  signedOffSeq: Schema.NullOr(Schema.Number),
  signedOffAt: Schema.NullOr(Schema.DateTimeUtcFromSelf),
  /** These are null until the end was told, by itself or by whoever found what it left. */
  shed: Schema.NullOr(Schema.Number),
  refused: Schema.NullOr(Schema.Number),
  unwritten: Schema.NullOr(Schema.Number),
  inDoubt: Schema.NullOr(Schema.Number)
})
export type LedgerSource = typeof LedgerSource.Type

export interface SourcesQuery {
  /** From 1 to `maximumSources`; held to that range. */
  readonly limit: number
  /** `source` of the last one of the page before. */
  readonly after?: string | undefined
}

/** Numbers that a loss receipt names, both ends included. */
export interface NamedRange extends Gap {
  readonly kind: "shed" | "gap" | "quarantined"
  readonly source: string
}

export interface DeadLetterCounts {
  readonly total: number
  /** Of `total`: not replayed. */
  readonly waiting: number
}

export const maximumSources = 1_000

/** As the driver returns it: bigint as text, timestamptz as Date. */
const Row = Schema.Struct({
  ...LedgerSource.fields,
  startedAt: Schema.NullOr(Schema.DateTimeUtcFromDate),
  seenAt: Schema.NullOr(Schema.DateTimeUtcFromDate),
  lastSeq: Schema.NumberFromString,
  lastAt: Schema.NullOr(Schema.DateTimeUtcFromDate),
  committed: Schema.NumberFromString,
  deadLettered: Schema.NumberFromString,
  replayed: Schema.NumberFromString,
  quarantined: Schema.NumberFromString,
  checkedSeq: Schema.NumberFromString,
  lost: Schema.NumberFromString,
  unsignedAfter: Schema.NullOr(Schema.NumberFromString),
  signedOffSeq: Schema.NullOr(Schema.NumberFromString),
  signedOffAt: Schema.NullOr(Schema.DateTimeUtcFromDate),
  shed: Schema.NullOr(Schema.NumberFromString),
  refused: Schema.NullOr(Schema.NumberFromString),
  unwritten: Schema.NullOr(Schema.NumberFromString),
  inDoubt: Schema.NullOr(Schema.NumberFromString)
})
const decodeSources = Schema.decodeUnknown(Schema.Array(Row))
const decodeReceipts = Schema.decodeUnknown(
  Schema.Array(
    Schema.Struct({
      kind: Schema.Literal("shed", "gap", "quarantined"),
      source: Schema.String,
      from: Schema.NumberFromString,
      to: Schema.NumberFromString
    })
  )
)
const decodeCounts = Schema.decodeUnknown(Schema.Tuple(Schema.Struct({ total: Schema.Number, waiting: Schema.Number })))

const columns = (sql: SqlClient.SqlClient) => sql`
  source, identity, kind, host, pid, started_at as "startedAt", boot_id as "bootId", durability, seen_at as "seenAt",
  last_seq as "lastSeq", last_at as "lastAt", committed, dead_lettered as "deadLettered", replayed, quarantined,
  counted and not (last_seq > 0 and committed + dead_lettered = 0) as counted,
  checked_seq as "checkedSeq", lost, unsigned_after as "unsignedAfter", signed_off_seq as "signedOffSeq",
  signed_off_at as "signedOffAt", shed, refused, unwritten, in_doubt as "inDoubt"`

/** A source that was not registered yet has no beginning; it is as new as its last word. */
const begun = (sql: SqlClient.SqlClient) => sql`coalesce(started_at, last_at, '-infinity')`

/** Reads what the trail's durable state says of its incarnations: the other side of every count that a process keeps. */
export class AuditLedger extends Context.Tag("audit/sources/AuditLedger")<
  AuditLedger,
  {
    /** One page, newest first. */
    readonly sources: (query: SourcesQuery) => Effect.Effect<ReadonlyArray<LedgerSource>, TrailUnreachable>
    /** Undefined when nobody has said anything of it. */
    readonly source: (source: string) => Effect.Effect<LedgerSource | undefined, TrailUnreachable>
    /**
     * The numbers after `from`, up to `to`, that are nowhere: ranges in ascending order that do not touch, at most
     * `maximumGaps`. Rows are searched among the ids of that time, a day and an hour before and after it included.
     */
    readonly gaps: (source: string, query: GapQuery) => Effect.Effect<ReadonlyArray<Gap>, TrailUnreachable>
    /**
     * Those that neither signed off nor were closed, and gave no sign of life for so long by the database's clock, oldest
     * sign first, at most `maximumSources`; only those of a process. A program without heartbeats gives one with each write only.
     */
    readonly silent: (olderThan: Duration.DurationInput) => Effect.Effect<ReadonlyArray<LedgerSource>, TrailUnreachable>
    /** What the loss receipts of a source name, oldest first, at most `maximumGaps`; of an unknown tail there is nothing to name. */
    readonly receipts: (source: string) => Effect.Effect<ReadonlyArray<NamedRange>, TrailUnreachable>
    readonly deadLetters: Effect.Effect<DeadLetterCounts, TrailUnreachable>
  }
>() {
  /** `deadline` bounds each question; a search for gaps may take six times as long. */
  static readonly layerClient = (options: {
    readonly sql: SqlClient.SqlClient
    readonly deadline: Duration.DurationInput
  }): Layer.Layer<AuditLedger> => Layer.succeed(AuditLedger, make(options))

  /** From the gatekeeper's pool. */
  static readonly layer: Layer.Layer<AuditLedger, never, Database> = Layer.effect(
    AuditLedger,
    Effect.map(Database, (database) => make({ sql: database.pool("gatekeeper"), deadline: "5 seconds" }))
  )
}

const make = (options: { readonly sql: SqlClient.SqlClient; readonly deadline: Duration.DurationInput }) => {
  const { sql } = options
  const deadline = Duration.decode(options.deadline)

  const bounded = <A, E>(question: Effect.Effect<A, E>, within = deadline) =>
    question.pipe(
      Effect.mapError((cause) => new TrailUnreachable({ reason: databaseError("statement", cause).reason })),
      // A stopped server answers a cancel request as little as the query: the caller does not wait for either.
      Effect.disconnect,
      Effect.timeoutFail({
        duration: within,
        onTimeout: () => new TrailUnreachable({ reason: "the database did not answer in time" })
      })
    )

  const sourcesOf = (rows: unknown) => Effect.orDie(decodeSources(rows))

  const gapsWithin = (source: string, query: GapQuery, doubt: Duration.Duration) =>
    bounded(gapStatement(sql, source, query, doubt).withoutTransform, Duration.times(deadline, 6)).pipe(
      Effect.flatMap((rows) => Effect.orDie(decodeGaps(rows)))
    )

  return AuditLedger.of({
    sources: Effect.fn("AuditLedger.sources")(function* ({ after, limit }) {
      const further =
        after === undefined
          ? sql`true`
          : sql`(${begun(sql)}, source) < (
              select ${begun(sql)}, source from gatekeeper.audit_source where source = ${after}::uuid
            )`
      const rows = yield* bounded(
        sql`
          select ${columns(sql)} from gatekeeper.audit_source
          where ${further}
          order by ${begun(sql)} desc, source desc
          limit ${Math.min(Math.max(Math.trunc(limit), 1), maximumSources)}`.withoutTransform
      )
      return yield* sourcesOf(rows)
    }),
    source: Effect.fn("AuditLedger.source")(function* (source) {
      const rows = yield* bounded(
        sql`select ${columns(sql)} from gatekeeper.audit_source where source = ${source}::uuid`.withoutTransform
      )
      return (yield* sourcesOf(rows))[0]
    }),
    gaps: Effect.fn("AuditLedger.gaps")(function* (source, query) {
      const [near, far] = clockDoubts
      if (query.to <= query.from) return []
      const suspected = yield* gapsWithin(source, query, near)
      return suspected.length === 0 ? [] : yield* gapsWithin(source, query, far)
    }),
    silent: Effect.fn("AuditLedger.silent")(function* (olderThan) {
      const sign = sql`coalesce(greatest(started_at, seen_at, last_at), '-infinity')`
      const rows = yield* bounded(
        sql`
          select ${columns(sql)} from gatekeeper.audit_source
          where signed_off_seq is null and unsigned_after is null and kind = 'process'
            and ${sign} < clock_timestamp() - make_interval(secs => ${Duration.toSeconds(olderThan)})
          order by ${sign}, source
          limit ${maximumSources}`.withoutTransform
      )
      return yield* sourcesOf(rows)
    }),
    receipts: Effect.fn("AuditLedger.receipts")(function* (source) {
      const rows = yield* bounded(
        sql`
          select metadata ->> 'kind' as kind, metadata ->> 'source' as source,
            metadata ->> 'from_seq' as "from", metadata ->> 'to_seq' as "to"
          from gatekeeper.audit_log
          where resource = ${receiptResource(source)} and action = ${receiptAction} and result = ${receiptResult}
            and metadata ->> 'to_seq' is not null
          order by id
          limit ${maximumGaps}`.withoutTransform
      )
      return yield* Effect.orDie(decodeReceipts(rows))
    }),
    deadLetters: bounded(
      sql`
        select count(*)::integer as total, (count(*) filter (where not exists (
          select from gatekeeper.audit_dead_letter_replay as replay
          where (replay.event_id, replay.leaf_hash) = (letter.event_id, letter.leaf_hash)
            and replay.outcome in ('replayed', 'present')
        )))::integer as waiting
        from gatekeeper.audit_dead_letter as letter`.withoutTransform
    ).pipe(
      Effect.flatMap((rows) => Effect.orDie(decodeCounts(rows))),
      Effect.map(([counts]) => counts),
      Effect.withSpan("AuditLedger.deadLetters")
    )
  })
}
