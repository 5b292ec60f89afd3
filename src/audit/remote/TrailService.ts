import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { mayActFor } from "../../domain/Service.ts"
import { runInSteps } from "../../platform/os/EventLoop.ts"
import { Database } from "../../platform/postgres/Database.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { AuditLedger } from "../sources/AuditLedger.ts"
import { missingBy } from "../sources/Conservation.ts"
import { admitting } from "../sources/RowAdmission.ts"
import type { AuditStore, CheckedRange } from "../store/AuditStore.ts"
import * as PostgresAuditStore from "../store/PostgresAuditStore.ts"
import { ledgerOperations, type Operation, readingRows, storeOperations } from "./TrailProtocol.ts"
import { makeSourceOwners, makeWriters, type SourceOwners, SourceRefused } from "./WriteGuards.ts"

/** The request does not match the operation: the client has another version, or is another program. */
export class UnreadableOperation extends Schema.TaggedError<UnreadableOperation>()("UnreadableOperation", {
  operation: Schema.String
}) {
  override get message(): string {
    return `the request is not what the operation ${this.operation} takes; run the same version on both sides`
  }
}

/** The service refused the request before it asked the store: nothing was done. */
type Refusal = SourceRefused | UnreadableOperation

export interface OperationAnswer {
  /** JSON. */
  readonly body: unknown
  /** What was refused of the request, for the trail; undefined where all of it was done. */
  readonly refused: string | undefined
}

/** Runs an operation with the decoded `body` for `identity`. */
type RunOperation = (identity: string, body: unknown) => Effect.Effect<OperationAnswer, Refusal>

/** Serves the `AuditStore` and the `AuditLedger` to processes without a database of their own. */
export class TrailService extends Context.Tag("audit/remote/TrailService")<
  TrailService,
  {
    /** By the name of the operation. */
    readonly operations: ReadonlyMap<string, RunOperation>
  }
>() {
  /** Uses sessions of its own, so that this process's writer never waits for other processes. */
  static readonly layer: Layer.Layer<TrailService, never, Database | AuditLedger> = Layer.scoped(
    TrailService,
    Effect.gen(function* () {
      const database = yield* Database
      const url = database.url("gatekeeper", "application")
      const store = yield* PostgresAuditStore.make({ url })
      const owners = yield* makeSourceOwners({ url, deadline: "5 seconds" })
      return TrailService.of({ operations: operationsOn({ store, ledger: yield* AuditLedger }, owners) })
    })
  )
}

const isOf = <F>(failure: unknown, refusal: (error: unknown) => error is Refusal): failure is F => !refusal(failure)

const isRefusal = Schema.is(Schema.Union(SourceRefused, UnreadableOperation))

type NamedOperation = readonly [name: string, run: RunOperation]

const operation = <A, I, B, J, F, G>(
  name: string,
  { answer, request }: Operation<A, I, B, J, F, G>,
  run: (identity: string, request: A) => Effect.Effect<B, F | Refusal>,
  refusedBy: (value: B) => string | undefined = () => undefined
): NamedOperation => [
  name,
  (identity, body) =>
    Schema.decodeUnknown(request)(body).pipe(
      Effect.mapError(() => new UnreadableOperation({ operation: name })),
      Effect.flatMap((decoded) =>
        run(identity, decoded).pipe(
          Effect.map((value): { readonly value: B } | { readonly failure: F } => ({ value })),
          Effect.catchAll((failure) =>
            isOf<F>(failure, isRefusal) ? Effect.succeed({ failure }) : Effect.fail(failure)
          )
        )
      ),
      Effect.flatMap((outcome) =>
        Effect.map(Effect.orDie(Schema.encode(answer)(outcome)), (body) => ({
          body,
          refused: "value" in outcome ? refusedBy(outcome.value) : undefined
        }))
      )
    )
]

const done = <E, R>(effect: Effect.Effect<unknown, E, R>) => Effect.as(effect, null)

/** The source of the rows; undefined for several sources, which would be written under the name of the first. */
const oneSource = (rows: ReadonlyArray<{ readonly source: string }>): string | undefined =>
  rows.every(({ source }) => source === rows[0]?.source) ? rows[0]?.source : undefined

/** Runs work for a source that the identity owns. */
type Owned = <A, E>(
  identity: string,
  source: string,
  work: Effect.Effect<A, E>
) => Effect.Effect<A, E | SourceRefused | DatabaseError>

interface Parts {
  readonly store: typeof AuditStore.Service
  readonly ledger: typeof AuditLedger.Service
}

/** The operations that write rows. One store's requests in transit are refused after it has given up. */
const rowOperations = ({ ledger, store }: Parts, owned: Owned): ReadonlyArray<NamedOperation> => {
  const s = storeOperations
  const writers = makeWriters()
  const admittedFrom = (identity: string) => admitting({ store, ledger, identity })
  return [
    operation(
      "append",
      s.append,
      Effect.fnUntraced(function* (identity, { certain, rows: texts, writer }) {
        const rows = yield* runInSteps(() => readingRows(texts))
        if (rows === undefined) return yield* new UnreadableOperation({ operation: "append" })
        if (rows.length === 0) return { conflicts: [] }
        const source = oneSource(rows)
        if (source === undefined) return yield* new SourceRefused({ source: "several at once", owner: null, identity })
        const append = admittedFrom(identity).append(rows, { certain })
        const appended = yield* owned(identity, source, writers.write(writer, append))
        const { conflicts, refused } = appended
        return refused === undefined ? appended : { conflicts: [...conflicts, ...refused.map(({ id }) => id)], refused }
      }),
      ({ refused = [] }) => {
        const first = refused[0]
        return first && `${refused.length} rows became dead letters, ${first.id} first: ${first.reason}`
      }
    ),
    operation("dead-letter", s["dead-letter"], (identity, { row, why, writer }) =>
      owned(identity, row.source, writers.write(writer, done(admittedFrom(identity).deadLetter(row, why))))
    ),
    operation("locate", s.locate, (identity, { ids, incarnation, writer }) =>
      owned(
        identity,
        incarnation.source,
        Effect.zipRight(
          writers.retire(writer),
          Effect.map(store.locate(incarnation, ids), ({ committed, deadLettered }) => ({
            committed: [...committed],
            deadLettered: [...deadLettered]
          }))
        )
      )
    )
  ]
}

/** Events that a source may have numbered beyond its last row, and lost: more than a queue can hold. */
const maximumTail = 10_000_000

/** Refuses a loss of more events than the source can have lost. */
const checkLoss = Effect.fnUntraced(function* ({ ledger }: Parts, source: string, found: CheckedRange) {
  const known = yield* Effect.mapError(
    ledger.source(source),
    ({ reason }) => new DatabaseError({ phase: "connect", reason })
  )
  const missing = known === undefined ? 0 : missingBy(known, known.lastSeq)
  if (found.lost > found.checkedSeq - found.from || found.lost > missing + maximumTail) {
    return yield* new UnreadableOperation({ operation: "record-loss" })
  }
})

/** The operations on sources and partitions. */
const sourceOperations = (parts: Parts, owned: Owned): ReadonlyArray<NamedOperation> => {
  const s = storeOperations
  const { store } = parts
  return [
    operation("trail", s.trail, () => store.trail),
    operation("register", s.register, (identity, { incarnation }) =>
      owned(identity, incarnation.source, done(store.register(incarnation)))
    ),
    operation("heartbeat", s.heartbeat, (identity, { incarnation }) =>
      owned(identity, incarnation.source, done(store.heartbeat(incarnation)))
    ),
    operation("make-partition", s["make-partition"], (_, { id }) => store.makePartition(id)),
    operation("sign-off", s["sign-off"], (identity, { end, incarnation }) =>
      owned(identity, incarnation.source, done(store.signOff(incarnation, end)))
    ),
    operation("close-unknown", s["close-unknown"], (identity, { after, counts, source }) =>
      owned(identity, source, done(store.closeUnknown(source, after, counts)))
    ),
    operation("record-loss", s["record-loss"], (identity, { found, source }) =>
      owned(identity, source, Effect.zipRight(checkLoss(parts, source, found), store.recordLoss(source, found)))
    )
  ]
}

const readOperations = (ledger: typeof AuditLedger.Service): ReadonlyArray<NamedOperation> => {
  const l = ledgerOperations
  return [
    operation("sources", l.sources, (_, query) => ledger.sources(query)),
    operation("source", l.source, (_, { source }) => Effect.map(ledger.source(source), (row) => row ?? null)),
    operation("gaps", l.gaps, (_, { source, ...query }) => ledger.gaps(source, query)),
    // The caller closes these sources, and may close only its own.
    operation("silent", l.silent, (identity, { seconds }) =>
      Effect.map(ledger.silent(Duration.seconds(seconds)), (rows) =>
        rows.filter((row) => row.identity !== null && mayActFor(identity, row.identity))
      )
    ),
    operation("receipts", l.receipts, (_, { source }) => ledger.receipts(source)),
    operation("dead-letters", l["dead-letters"], () => ledger.deadLetters)
  ]
}

const operationsOn = (parts: Parts, owners: SourceOwners): ReadonlyMap<string, RunOperation> => {
  const owned: Owned = (identity, source, work) => Effect.zipRight(owners.check(identity, source), work)
  return new Map([...rowOperations(parts, owned), ...sourceOperations(parts, owned), ...readOperations(parts.ledger)])
}
