import type * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { mayActFor } from "../../domain/Service.ts"
import { Database } from "../../platform/postgres/Database.ts"
import { receiptAction, receiptResult, sourceResource } from "../encoding/TrailEvents.ts"
import type { SeqRange } from "../journal/SeqRanges.ts"
import { isReplayed } from "../store/AuditWrites.ts"
import { boundedQuery, type TrailUnreachable } from "../store/TrailUnreachable.ts"
import { clockDoubts, type GapQuery, Gaps, gapStatement, maximumGaps } from "./GapSearch.ts"

/** The members of `LedgerSource`, with the encodings of its numbers and times. */
export const sourceFields = <N, T>(number: Schema.Schema<number, N>, time: Schema.Schema<DateTime.Utc, T>) => ({
  source: Schema.String,
  /** The ghost that writes for it from outside; null where its process writes to the database itself. */
  identity: Schema.NullOr(Schema.String),
  /** `ingest`: the source of a client that gives no numbers. It has no process, and never ends. */
  kind: Schema.Literal("process", "ingest"),
  host: Schema.NullOr(Schema.String),
  pid: Schema.NullOr(Schema.Number),
  startedAt: Schema.NullOr(time),
  bootId: Schema.NullOr(Schema.String),
  durability: Schema.NullOr(Schema.String),
  /** Its last heartbeat, by the database's clock. */
  seenAt: Schema.NullOr(time),
  /** The greatest number that a row or a dead letter has. */
  lastSeq: number,
  /** When it last wrote, by the database's clock. */
  lastAt: Schema.NullOr(time),
  /** Rows in `audit_log`. */
  committed: number,
  /** Rows in `audit_dead_letter`, replayed ones included. */
  deadLettered: number,
  /** Of `deadLettered`: in `audit_log` too by now. */
  replayed: number,
  quarantined: number,
  /** False when a program that does not keep these counters wrote for the source: then they are too low. */
  counted: Schema.Boolean,
  /** The gap detector has looked for each number up to this. */
  checkedSeq: number,
  /** Numbers up to `checkedSeq` without a row or dead letter. */
  lost: number,
  /** It ended without signing off: it is unknown whether it gave numbers after this one. */
  unsignedAfter: Schema.NullOr(number),
  signedOffSeq: Schema.NullOr(number),
  signedOffAt: Schema.NullOr(time),
  /** These are null until the end was recorded, by the source itself or by the process that recovered its journal. */
  shed: Schema.NullOr(number),
  refused: Schema.NullOr(number),
  unwritten: Schema.NullOr(number),
  inDoubt: Schema.NullOr(number)
})

/** A row of `audit_source`: what the database knows about one source. */
export type LedgerSource = Schema.Struct.Type<ReturnType<typeof sourceFields>>

export interface SourcesQuery {
  /** From 1 to `maximumSources`; other values are moved into that range. */
  readonly limit: number
  /** `source` of the last row of the previous page. */
  readonly after?: string | undefined
}

/** The members of `NamedRange`, with the encoding of its numbers. */
export const namedRangeFields = <N>(number: Schema.Schema<number, N>) => ({
  kind: Schema.Literal("shed", "gap", "quarantined"),
  source: Schema.String,
  from: number,
  to: number
})

/** Numbers that a loss receipt names, both ends included. */
export type NamedRange = Schema.Struct.Type<ReturnType<typeof namedRangeFields>>

export interface DeadLetterCounts {
  readonly total: number
  /** Of `total`: not replayed. */
  readonly waiting: number
}

export const maximumSources = 1_000

/** Rows as the driver returns them: bigint as text, timestamptz as Date. */
const Sources = Schema.Array(Schema.Struct(sourceFields(Schema.NumberFromString, Schema.DateTimeUtcFromDate)))
const WrittenReceipt = Schema.Struct({
  ...namedRangeFields(Schema.NumberFromString),
  /** The source of the receipt's row, and its owner. */
  writtenBy: Schema.String,
  writer: Schema.NullOr(Schema.String),
  /** The owner of the source that the receipt names. */
  about: Schema.NullOr(Schema.String)
})
type WrittenReceipt = typeof WrittenReceipt.Type
const Counts = Schema.Tuple(Schema.Struct({ total: Schema.Number, waiting: Schema.Number }))

const columns = (sql: SqlClient.SqlClient) => sql`
  source, identity, kind, host, pid, started_at as "startedAt", boot_id as "bootId", durability, seen_at as "seenAt",
  last_seq as "lastSeq", last_at as "lastAt", committed, dead_lettered as "deadLettered", replayed, quarantined,
  counted and not (last_seq > 0 and committed + dead_lettered = 0) as counted,
  checked_seq as "checkedSeq", lost, unsigned_after as "unsignedAfter", signed_off_seq as "signedOffSeq",
  signed_off_at as "signedOffAt", shed, refused, unwritten, in_doubt as "inDoubt"`

/** A source that was not registered has no start; its last write stands for it. */
const startOf = (sql: SqlClient.SqlClient) => sql`coalesce(started_at, last_at, '-infinity')`

/** Reads what the database knows about sources: the counterpart of every count that a process keeps. */
export class AuditLedger extends Context.Tag("audit/sources/AuditLedger")<
  AuditLedger,
  {
    /** Reads one page, newest first. */
    readonly sources: (query: SourcesQuery) => Effect.Effect<ReadonlyArray<LedgerSource>, TrailUnreachable>
    /** Undefined when the database does not know the source. */
    readonly source: (source: string) => Effect.Effect<LedgerSource | undefined, TrailUnreachable>
    /**
     * Finds the numbers after `from`, up to `to`, without a row or dead letter: ranges in ascending order that do not touch, at
     * most `maximumGaps`. Searches the ids of that time, and of a day and an hour before and after it.
     */
    readonly gaps: (source: string, query: GapQuery) => Effect.Effect<ReadonlyArray<SeqRange>, TrailUnreachable>
    /**
     * Finds sources of processes that are neither signed off nor closed, and sent neither a heartbeat nor a row for so long by
     * the database's clock: longest silence first, at most `maximumSources`.
     */
    readonly silent: (olderThan: Duration.DurationInput) => Effect.Effect<ReadonlyArray<LedgerSource>, TrailUnreachable>
    /** Reads the numbers that loss receipts of a source name, oldest first, at most `maximumGaps`. Unknown tails name none. */
    readonly receipts: (source: string) => Effect.Effect<ReadonlyArray<NamedRange>, TrailUnreachable>
    readonly deadLetters: Effect.Effect<DeadLetterCounts, TrailUnreachable>
  }
>() {
  /** `deadline` bounds each query; a search for gaps may take six times as long. */
  static readonly layerClient = (options: {
    readonly sql: SqlClient.SqlClient
    readonly deadline: Duration.DurationInput
  }): Layer.Layer<AuditLedger> => Layer.succeed(AuditLedger, make(options))

  /** Reads through the gatekeeper's pool. */
  static readonly layer: Layer.Layer<AuditLedger, never, Database> = Layer.effect(
    AuditLedger,
    Effect.map(Database, (database) => make({ sql: database.pool("gatekeeper"), deadline: "5 seconds" }))
  )
}

/** The queries of a ledger and their deadline. */
interface Queries {
  readonly sql: SqlClient.SqlClient
  readonly deadline: Duration.Duration
}

const readPage = ({ deadline, sql }: Queries, { after, limit }: SourcesQuery) => {
  const further =
    after === undefined
      ? sql`true`
      : sql`(${startOf(sql)}, source) < (
          select ${startOf(sql)}, source from gatekeeper.audit_source where source = ${after}::uuid
        )`
  return boundedQuery(
    Sources,
    sql`
      select ${columns(sql)} from gatekeeper.audit_source
      where ${further}
      order by ${startOf(sql)} desc, source desc
      limit ${Math.min(Math.max(Math.trunc(limit), 1), maximumSources)}`,
    deadline
  )
}

const gapsWithin = ({ deadline, sql }: Queries, source: string, query: GapQuery, doubt: Duration.Duration) =>
  boundedQuery(Gaps, gapStatement(sql, source, query, doubt), Duration.times(deadline, 6))

const readSilent = ({ deadline, sql }: Queries, olderThan: Duration.DurationInput) => {
  const sign = sql`coalesce(greatest(started_at, seen_at, last_at), '-infinity')`
  return boundedQuery(
    Sources,
    sql`
      select ${columns(sql)} from gatekeeper.audit_source
      where signed_off_seq is null and unsigned_after is null and kind = 'process'
        and ${sign} < clock_timestamp() - make_interval(secs => ${Duration.toSeconds(olderThan)})
      order by ${sign}, source
      limit ${maximumSources}`,
    deadline
  )
}

/** A receipt counts if the source itself wrote it, a source of the same owner, or a process of the gatekeeper. */
const counts = ({ about, writer, writtenBy }: WrittenReceipt, source: string): boolean =>
  writtenBy === source || writer === null || (about !== null && mayActFor(writer, about))

const readReceipts = Effect.fnUntraced(function* ({ deadline, sql }: Queries, source: string) {
  const receipts = yield* boundedQuery(
    Schema.Array(WrittenReceipt),
    sql`
      select receipt.metadata ->> 'kind' as kind, receipt.metadata ->> 'source' as source,
        receipt.metadata ->> 'from_seq' as "from", receipt.metadata ->> 'to_seq' as "to",
        receipt.source as "writtenBy", writer.identity as writer, known.identity as about
      from gatekeeper.audit_log as receipt
      join gatekeeper.audit_source as writer on writer.source = receipt.source
      left join gatekeeper.audit_source as known on known.source = ${source}::uuid
      where receipt.resource = ${sourceResource(source)} and receipt.action = ${receiptAction}
        and receipt.result = ${receiptResult} and receipt.metadata ->> 'to_seq' is not null
        and writer.kind = 'process' and (receipt.source = ${source}::uuid or writer.identity is null or known.identity is not null)
      order by receipt.id
      limit ${maximumGaps}`,
    deadline
  )
  return receipts
    .filter((receipt) => counts(receipt, source))
    .map(({ from, kind, source, to }) => ({ from, kind, source, to }))
})

const countDeadLetters = ({ deadline, sql }: Queries) =>
  boundedQuery(
    Counts,
    sql`
      select count(*)::integer as total, (count(*) filter (where not ${sql.literal(isReplayed)}))::integer as waiting
      from gatekeeper.audit_dead_letter as letter`,
    deadline
  ).pipe(Effect.map(([counts]) => counts))

const make = (options: { readonly sql: SqlClient.SqlClient; readonly deadline: Duration.DurationInput }) => {
  const { sql } = options
  const queries: Queries = { sql, deadline: Duration.decode(options.deadline) }

  return AuditLedger.of({
    sources: Effect.fn("AuditLedger.sources")((query) => readPage(queries, query)),
    source: Effect.fn("AuditLedger.source")(function* (source) {
      const statement = sql`select ${columns(sql)} from gatekeeper.audit_source where source = ${source}::uuid`
      return (yield* boundedQuery(Sources, statement, queries.deadline))[0]
    }),
    gaps: Effect.fn("AuditLedger.gaps")(function* (source, query) {
      const [near, far] = clockDoubts
      if (query.to <= query.from) return []
      const suspected = yield* gapsWithin(queries, source, query, near)
      return suspected.length === 0 ? [] : yield* gapsWithin(queries, source, query, far)
    }),
    silent: Effect.fn("AuditLedger.silent")((olderThan) => readSilent(queries, olderThan)),
    receipts: Effect.fn("AuditLedger.receipts")((source) => readReceipts(queries, source)),
    deadLetters: Effect.withSpan(countDeadLetters(queries), "AuditLedger.deadLetters")
  })
}
