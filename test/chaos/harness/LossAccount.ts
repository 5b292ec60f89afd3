import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Connection } from "../../../src/platform/postgres/Connection.ts"

/** The database's account of a process that ended. */
export interface Life {
  readonly source: string
  /** Its last number, recorded by itself or by the process that recovered its journal; null without sign-off. */
  readonly signedOff: number | null
  /** It is unknown whether it gave numbers after this one. */
  readonly unsignedAfter: number | null
  /** Numbers that its row counts as lost. */
  readonly lost: number
  /** Rows with numbers up to the last that is known. */
  readonly rows: number
  readonly lastRow: number
}

/** A row of the trail that says what is missing from it. */
export interface Receipt {
  readonly kind: string
  readonly source: string
  readonly from: number
  /** Both are null of a tail. */
  readonly to: number | null
  readonly count: number | null
}

/** Whether the trail tells what became of every number of those that ended. */
export interface LossAccount {
  readonly lives: number
  /** Lives of which a receipt says that their tail is unknown. */
  readonly tails: number
  /** Numbers that receipts name. */
  readonly named: number
  /** What is not told, or told wrongly, in words. */
  readonly wrong: ReadonlyArray<string>
}

const wrongOf = (life: Life, receipts: ReadonlyArray<Receipt>): string | undefined => {
  const { lastRow, lost, rows, signedOff, source, unsignedAfter } = life
  const known = signedOff ?? unsignedAfter
  if (known === null) return `of the end of ${source} nothing is said`
  const tails = receipts.filter(({ kind }) => kind === "tail")
  if (signedOff === null && !tails.some(({ from }) => from === known + 1)) {
    return `no receipt says that ${source} is unknown after number ${known}`
  }
  if (signedOff !== null && tails.length > 0) return `${source} signed off, and a receipt calls its tail unknown`
  if (lastRow > known) return `${source} has a row with the number ${lastRow}, and is called unknown after ${known}`
  const named = receipts.reduce((sum, { count }) => sum + (count ?? 0), 0)
  if (known !== rows + named) {
    return `${source}: of ${known} numbers, ${rows} have rows and receipts name ${named}`
  }
  return named === lost ? undefined : `${source}: receipts name ${named} numbers, its entry says ${lost}`
}

/** Of lives that shed nothing and whose journals were not damaged: what has no row is lost. */
export const lossAccount = (lives: ReadonlyArray<Life>, receipts: ReadonlyArray<Receipt>): LossAccount => {
  const bySource = Arr.groupBy(receipts, ({ source }) => source)
  return {
    lives: lives.length,
    tails: new Set(receipts.flatMap(({ kind, source }) => (kind === "tail" ? [source] : []))).size,
    named: receipts.reduce((sum, { count }) => sum + (count ?? 0), 0),
    wrong: lives.flatMap((life) => wrongOf(life, bySource[life.source] ?? []) ?? [])
  }
}

const decodeLives = Schema.decodeUnknown(
  Schema.Array(
    Schema.Struct({
      source: Schema.String,
      signedOff: Schema.NullOr(Schema.Number),
      unsignedAfter: Schema.NullOr(Schema.Number),
      lost: Schema.Number,
      rows: Schema.Number,
      lastRow: Schema.Number
    })
  )
)

const decodeReceipts = Schema.decodeUnknown(
  Schema.Array(
    Schema.Struct({
      kind: Schema.String,
      source: Schema.String,
      from: Schema.Number,
      to: Schema.NullOr(Schema.Number),
      count: Schema.NullOr(Schema.Number)
    })
  )
)

/** `living`: the pid of the process that goes on, whose account is open. */
export const lossAccountOf = (connection: Connection, living: number) =>
  Effect.gen(function* () {
    const lives = yield* connection.query(
      `select known.source, known.signed_off_seq::int as "signedOff", known.unsigned_after::int as "unsignedAfter",
         known.lost::int as lost, coalesce(max(log.seq), 0)::int as "lastRow",
         (count(log.seq) filter (where log.seq <= coalesce(known.signed_off_seq, known.unsigned_after)))::int as rows
       from gatekeeper.audit_source as known left join gatekeeper.audit_log as log on log.source = known.source
       where known.pid is distinct from $1
       group by known.source`,
      [living]
    )
    const receipts = yield* connection.query(
      `select metadata ->> 'kind' as kind, metadata ->> 'source' as source, (metadata ->> 'from_seq')::int as "from",
         (metadata ->> 'to_seq')::int as "to", (metadata ->> 'count')::int as count
       from gatekeeper.audit_log where result = 'LOST'`
    )
    return lossAccount(yield* decodeLives(lives.rows), yield* decodeReceipts(receipts.rows))
  }).pipe(Effect.orDie)
