import * as Crypto from "node:crypto"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { canonicalJson } from "../encoding/AuditRow.ts"
import { AuditLedger } from "../sources/AuditLedger.ts"
import { AuditStore } from "../store/AuditStore.ts"
import { TrailUnreachable } from "../store/TrailUnreachable.ts"
import * as RemoteCalls from "./RemoteCalls.ts"
import { ledgerOperations, type Operation, storeOperations } from "./TrailProtocol.ts"

export interface RemoteAuditStoreOptions extends RemoteCalls.RemoteOptions {
  /** Of a write, including its wait for other writers at the gatekeeper; longer than the gatekeeper's own deadline. */
  readonly deadline?: Duration.DurationInput
}

/** The request was not sent. */
const notSent = new DatabaseError({ phase: "connect", reason: "writing was given up" })

/** The request was sent, and its answer was not waited for. */
const inDoubt = new DatabaseError({ phase: "commit", reason: "writing was given up before the gatekeeper answered" })

/** An `AuditStore` that asks a gatekeeper. The journal, the writer and the recovery run in this process. */
export const make = Effect.fnUntraced(function* (options: RemoteAuditStoreOptions) {
  const calls = yield* RemoteCalls.make(options)
  const writer = Crypto.randomUUID()
  const abandoned = yield* Deferred.make<never, DatabaseError>()
  const turn = yield* Effect.makeSemaphore(1)
  const long = options.deadline ?? "25 seconds"
  const short = "12 seconds"
  const { append, heartbeat, locate, register, trail, ...others } = storeOperations

  /** Runs one write at a time. After `abandon` the write in flight fails in doubt, and the others fail without being sent. */
  const asWriter = <A>(work: Effect.Effect<A, DatabaseError>) =>
    turn.withPermits(1)(
      Effect.flatMap(Deferred.isDone(abandoned), (isDone) =>
        isDone ? Effect.fail(notSent) : Effect.raceFirst(work, Deferred.await(abandoned))
      )
    )

  return AuditStore.of({
    trail: calls.ask("trail", trail, {}, short),
    register: (incarnation) => Effect.asVoid(calls.ask("register", register, { incarnation }, short)),
    heartbeat: (incarnation) => Effect.asVoid(calls.ask("heartbeat", heartbeat, { incarnation }, short)),
    append: (rows, { certain }) =>
      asWriter(calls.ask("append", append, { writer, rows: rows.map(canonicalJson), certain }, long)).pipe(
        Effect.map(({ conflicts, refused }) =>
          refused === undefined
            ? { conflicts }
            : { conflicts: conflicts.filter((id) => !refused.some((row) => row.id === id)), refused }
        )
      ),
    deadLetter: (row, why) =>
      Effect.asVoid(asWriter(calls.ask("dead-letter", others["dead-letter"], { writer, row, why }, long))),
    makePartition: (id) => calls.ask("make-partition", others["make-partition"], { id }, long),
    // The gatekeeper does that.
    makePartitionsAhead: Effect.void,
    signOff: (incarnation, end) => Effect.asVoid(calls.ask("sign-off", others["sign-off"], { incarnation, end }, long)),
    closeUnknown: (source, after, counts) =>
      Effect.asVoid(calls.ask("close-unknown", others["close-unknown"], { source, after, counts }, short)),
    recordLoss: (source, found) => calls.ask("record-loss", others["record-loss"], { source, found }, short),
    abandon: Effect.asVoid(Deferred.fail(abandoned, inDoubt)),
    locate: (incarnation, ids) =>
      Effect.map(calls.ask("locate", locate, { writer, incarnation, ids }, long), ({ committed, deadLettered }) => ({
        committed: new Set(committed),
        deadLettered: new Set(deadLettered)
      }))
  })
})

export const layer = (options: RemoteAuditStoreOptions): Layer.Layer<AuditStore, never, HttpClient.HttpClient> =>
  Layer.effect(AuditStore, make(options))

const ledgerDeadline = Duration.seconds(8)
/** A search for gaps may take six times as long at the other end too. */
const gapsDeadline = Duration.seconds(35)

/** An `AuditLedger` that asks a gatekeeper. It returns all sources, but only silent sources of the caller's identity. */
export const makeLedger = Effect.fnUntraced(function* (options: RemoteCalls.RemoteOptions) {
  const calls = yield* RemoteCalls.make(options)
  const ask = <A, I, B, J, G>(
    name: string,
    operation: Operation<A, I, B, J, TrailUnreachable, G>,
    request: A,
    within = ledgerDeadline
  ) =>
    calls
      .ask(name, operation, request, within)
      .pipe(Effect.catchTag("DatabaseError", ({ reason }) => Effect.fail(new TrailUnreachable({ reason }))))
  const { gaps, receipts, silent, source, sources } = ledgerOperations
  return AuditLedger.of({
    sources: ({ after, limit }) => ask("sources", sources, { limit, ...(after === undefined ? {} : { after }) }),
    source: (id) => Effect.map(ask("source", source, { source: id }), (row) => row ?? undefined),
    gaps: (id, query) => ask("gaps", gaps, { source: id, ...query }, gapsDeadline),
    silent: (olderThan) => ask("silent", silent, { seconds: Duration.toSeconds(olderThan) }),
    receipts: (id) => ask("receipts", receipts, { source: id }),
    deadLetters: ask("dead-letters", ledgerOperations["dead-letters"], {})
  })
})

export const ledgerLayer = (
  options: RemoteCalls.RemoteOptions
): Layer.Layer<AuditLedger, never, HttpClient.HttpClient> => Layer.effect(AuditLedger, makeLedger(options))
