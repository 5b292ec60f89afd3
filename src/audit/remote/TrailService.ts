import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { runInSteps } from "../../platform/os/EventLoop.ts"
import { Database } from "../../platform/postgres/Database.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { AuditLedger } from "../sources/AuditLedger.ts"
import type { AuditStore } from "../store/AuditStore.ts"
import * as PostgresAuditStore from "../store/PostgresAuditStore.ts"
import * as SourceOwners from "./SourceOwners.ts"
import { ledgerOperations, type Operation, readingRows, storeOperations } from "./TrailProtocol.ts"
import * as Writers from "./Writers.ts"

/** The request is none of the operation's: a client of another version, or none of ours. */
export class UnreadableOperation extends Schema.TaggedError<UnreadableOperation>()("UnreadableOperation", {
  operation: Schema.String
}) {
  override get message(): string {
    return `the request is not what the operation ${this.operation} takes; run the same version on both sides`
  }
}

/** Not the store's own answer: nothing was done. */
type Refusal = SourceOwners.SourceRefused | UnreadableOperation

/** Answers `body` in the name of `identity`. */
type Answering = (identity: string, body: unknown) => Effect.Effect<unknown, Refusal>

/** The other end of the trail of processes elsewhere: an `AuditStore` and an `AuditLedger` for whoever may write to it. */
export class TrailService extends Context.Tag("audit/remote/TrailService")<
  TrailService,
  {
    /** By the operation's name. What they answer is to be sent as JSON. */
    readonly operations: ReadonlyMap<string, Answering>
  }
>() {
  /** On sessions of its own: the process's own drain waits for nobody elsewhere. */
  static readonly layer: Layer.Layer<TrailService, never, Database | AuditLedger> = Layer.scoped(
    TrailService,
    Effect.gen(function* () {
      const database = yield* Database
      const url = database.url("gatekeeper", "application")
      const store = yield* PostgresAuditStore.make({ url })
      const owners = yield* SourceOwners.make({ url, deadline: "5 seconds" })
      return TrailService.of({ operations: operationsOn(store, yield* AuditLedger, owners) })
    })
  )
}

const isOf = <F>(failure: unknown, refusal: (error: unknown) => error is Refusal): failure is F => !refusal(failure)

const isRefusal = Schema.is(Schema.Union(SourceOwners.SourceRefused, UnreadableOperation))

const answering =
  <A, I, B, J, F, G>(
    name: string,
    { answer, request }: Operation<A, I, B, J, F, G>,
    run: (identity: string, request: A) => Effect.Effect<B, F | Refusal>
  ): Answering =>
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
      Effect.flatMap((outcome) => Effect.orDie(Schema.encode(answer)(outcome)))
    )

const done = <E, R>(effect: Effect.Effect<unknown, E, R>) => Effect.as(effect, null)

/** Rows of several sources in one request would be written under the name of the first. */
const oneSource = (rows: ReadonlyArray<{ readonly source: string }>): string | undefined =>
  rows.every(({ source }) => source === rows[0]?.source) ? rows[0]?.source : undefined

const operationsOn = (
  store: typeof AuditStore.Service,
  ledger: typeof AuditLedger.Service,
  owners: SourceOwners.SourceOwners
): ReadonlyMap<string, Answering> => {
  const writers = Writers.make()
  const owned = <A, E>(
    identity: string,
    source: string,
    work: Effect.Effect<A, E>
  ): Effect.Effect<A, E | SourceOwners.SourceRefused | DatabaseError> =>
    Effect.zipRight(owners.check(identity, source), work)

  const s = storeOperations
  const l = ledgerOperations
  const entries: ReadonlyArray<readonly [string, Answering]> = [
    ["trail", answering("trail", s.trail, () => store.trail)],
    [
      "register",
      answering("register", s.register, (identity, { incarnation }) =>
        owned(identity, incarnation.source, done(store.register(incarnation)))
      )
    ],
    [
      "heartbeat",
      answering("heartbeat", s.heartbeat, (identity, { incarnation }) =>
        owned(identity, incarnation.source, done(store.heartbeat(incarnation)))
      )
    ],
    [
      "append",
      answering(
        "append",
        s.append,
        Effect.fnUntraced(function* (identity, { certain, rows: texts, writer }) {
          const rows = yield* runInSteps(() => readingRows(texts))
          if (rows === undefined) return yield* new UnreadableOperation({ operation: "append" })
          if (rows.length === 0) return { conflicts: [] }
          const source = oneSource(rows)
          if (source === undefined)
            return yield* new SourceOwners.SourceRefused({ source: "several at once", owner: null, identity })
          return yield* owned(identity, source, writers.write(writer, store.append(rows, { certain })))
        })
      )
    ],
    [
      "dead-letter",
      answering("dead-letter", s["dead-letter"], (identity, { row, why, writer }) =>
        owned(identity, row.source, writers.write(writer, done(store.deadLetter(row, why))))
      )
    ],
    ["make-partition", answering("make-partition", s["make-partition"], (_, { id }) => store.makePartition(id))],
    [
      "sign-off",
      answering("sign-off", s["sign-off"], (identity, { end, incarnation }) =>
        owned(identity, incarnation.source, done(store.signOff(incarnation, end)))
      )
    ],
    [
      "close-unknown",
      answering("close-unknown", s["close-unknown"], (identity, { after, counts, source }) =>
        owned(identity, source, done(store.closeUnknown(source, after, counts)))
      )
    ],
    [
      "record-loss",
      answering("record-loss", s["record-loss"], (identity, { found, source }) =>
        owned(identity, source, store.recordLoss(source, found))
      )
    ],
    [
      "locate",
      answering("locate", s.locate, (identity, { ids, incarnation, writer }) =>
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
    ],
    ["sources", answering("sources", l.sources, (_, query) => ledger.sources(query))],
    [
      "source",
      answering("source", l.source, (_, { source }) => Effect.map(ledger.source(source), (row) => row ?? null))
    ],
    ["gaps", answering("gaps", l.gaps, (_, { source, ...query }) => ledger.gaps(source, query))],
    [
      "silent",
      // Whoever asks closes them, and may close its own only.
      answering("silent", l.silent, (identity, { seconds }) =>
        Effect.map(ledger.silent(Duration.seconds(seconds)), (rows) => rows.filter((row) => row.identity === identity))
      )
    ],
    ["receipts", answering("receipts", l.receipts, (_, { source }) => ledger.receipts(source))],
    ["dead-letters", answering("dead-letters", l["dead-letters"], () => ledger.deadLetters)]
  ]
  return new Map(entries)
}
