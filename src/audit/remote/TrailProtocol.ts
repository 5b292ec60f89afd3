import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { SteppedComputation } from "../../platform/os/EventLoop.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { AuditId } from "../encoding/AuditId.ts"
import { canonicalJson, type HashedRow } from "../encoding/AuditRow.ts"
import { rowOf } from "../encoding/CanonicalRow.ts"
import { maximumCount } from "../encoding/RowRules.ts"
import { namedRangeFields, sourceFields } from "../sources/AuditLedger.ts"
import { CheckedRange, Incarnation, LeftCounts, Refused, Rejection, SignOff } from "../store/AuditStore.ts"
import { TrailUnreachable } from "../store/TrailUnreachable.ts"

const isRow = (value: unknown): value is HashedRow =>
  typeof value === "object" && value !== null && "leafHash" in value && "metadata" in value

/** Characters of the longest row that a recorder makes: of texts and metadata in the widest encoding, twice that. */
const maximumRow = 32 * 1024

const readRow = (text: string): HashedRow | undefined => (text.length > maximumRow ? undefined : rowOf(text))

/** A row as canonical JSON. The reader computes the same hash from it, or refuses it. */
export const WireRow = Schema.transformOrFail(Schema.String, Schema.declare(isRow), {
  strict: true,
  decode: (text, _, ast) => {
    const row = readRow(text)
    // Omits the text, because it may hold secrets.
    return row === undefined
      ? ParseResult.fail(new ParseResult.Type(ast, "…", "the row is not a canonical event"))
      : ParseResult.succeed(row)
  },
  encode: (row) => ParseResult.succeed(canonicalJson(row))
})

/** Rows decoded between two turns of the event loop: about a millisecond of work. */
const rowsInTurn = 16

/** Decodes many `WireRow`s in steps, because they may take tenths of a second. Undefined if one is not a row. */
export function* readingRows(texts: ReadonlyArray<string>): SteppedComputation<ReadonlyArray<HashedRow> | undefined> {
  const rows: Array<HashedRow> = []
  for (const [index, text] of texts.entries()) {
    if (index % rowsInTurn === rowsInTurn - 1) yield
    const row = readRow(text)
    if (row === undefined) return undefined
    rows.push(row)
  }
  return rows
}

const Count = Schema.NonNegativeInt.pipe(Schema.lessThanOrEqualTo(maximumCount))

const Gap = Schema.Struct({ from: Count, to: Count })

const NamedRange = Schema.Struct(namedRangeFields(Count))

const Source = Schema.Struct(sourceFields(Schema.Number, Schema.DateTimeUtc))

/** The id of a client's store. After `abandon`, none of its requests in transit writes anything. */
const Writer = Schema.UUID

/** A request and its answer under `POST /audit/store/:operation`. `failure` is the error of the store. */
export interface Operation<A, I, B, J, F, G> {
  readonly request: Schema.Schema<A, I>
  readonly value: Schema.Schema<B, J>
  readonly answer: Schema.Schema<
    { readonly value: B } | { readonly failure: F },
    { readonly value: J } | { readonly failure: G }
  >
}

const operation =
  <F, G>(failure: Schema.Schema<F, G>) =>
  <A, I, B, J>(request: Schema.Schema<A, I>, value: Schema.Schema<B, J>): Operation<A, I, B, J, F, G> => ({
    request,
    value,
    answer: Schema.Union(Schema.Struct({ value }), Schema.Struct({ failure }))
  })

const store = operation(DatabaseError)
const ledger = operation(TrailUnreachable)

const nothing = Schema.Struct({})
const done = Schema.Null

/** The operations of `AuditStore`. */
export const storeOperations = {
  trail: store(nothing, Schema.UUID),
  register: store(Schema.Struct({ incarnation: Incarnation }), done),
  heartbeat: store(Schema.Struct({ incarnation: Incarnation }), done),
  append: store(
    Schema.Struct({ writer: Writer, rows: Schema.Array(Schema.String), certain: Schema.Boolean }),
    // A program that does not know `refused` takes these rows for conflicts: they are dead letters too.
    Schema.Struct({ conflicts: Schema.Array(AuditId), refused: Schema.optional(Schema.Array(Refused)) })
  ),
  "dead-letter": store(Schema.Struct({ writer: Writer, row: WireRow, why: Rejection }), done),
  "make-partition": store(Schema.Struct({ id: AuditId }), Schema.Boolean),
  "sign-off": store(Schema.Struct({ incarnation: Incarnation, end: SignOff }), done),
  "close-unknown": store(Schema.Struct({ source: Schema.UUID, after: Count, counts: LeftCounts }), done),
  "record-loss": store(Schema.Struct({ source: Schema.UUID, found: CheckedRange }), Schema.Boolean),
  locate: store(
    Schema.Struct({ writer: Writer, incarnation: Incarnation, ids: Schema.Array(AuditId) }),
    Schema.Struct({ committed: Schema.Array(AuditId), deadLettered: Schema.Array(AuditId) })
  )
} as const

/** The operations of `AuditLedger`. */
export const ledgerOperations = {
  sources: ledger(Schema.Struct({ limit: Schema.Number, after: Schema.optional(Schema.UUID) }), Schema.Array(Source)),
  source: ledger(Schema.Struct({ source: Schema.UUID }), Schema.NullOr(Source)),
  gaps: ledger(
    Schema.Struct({ source: Schema.UUID, ...Gap.fields, fromTime: Schema.Number, toTime: Schema.Number }),
    Schema.Array(Gap)
  ),
  silent: ledger(Schema.Struct({ seconds: Schema.NonNegative }), Schema.Array(Source)),
  receipts: ledger(Schema.Struct({ source: Schema.UUID }), Schema.Array(NamedRange)),
  "dead-letters": ledger(nothing, Schema.Struct({ total: Count, waiting: Count }))
} as const

/** Maximum bytes of a request: twice a full batch, in the widest encoding. */
export const maximumOperationBytes = 16 * 1024 * 1024
