import * as Crypto from "node:crypto"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { keptConflicts } from "../../contracts/gatekeeper/IngestSchemas.ts"
import { Database } from "../../platform/postgres/Database.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { type AuditId, makeUuidV7 } from "../encoding/AuditId.ts"
import { timeoutWithin } from "../store/AuditWrites.ts"
import * as OwnedSession from "../store/OwnedSession.ts"
import { describe, retryClass } from "../store/RetryClass.ts"
import { type IngestEvent, type Ingested, ingestBatch } from "./IngestBatch.ts"

/** The batch was not written, or its outcome is unknown. The same batch, sent again, is recorded once. */
export class TrailUnwritable extends Schema.TaggedError<TrailUnwritable>()("TrailUnwritable", {
  reason: Schema.String
}) {
  override get message(): string {
    return `the audit trail cannot be written: ${this.reason}. Send the same batch again: no event is recorded twice`
  }
}

export interface AuditIngestOptions {
  readonly url: Redacted.Redacted
  /** Of one statement. A batch gets twice as long, its wait for other batches included. */
  readonly deadline?: Duration.DurationInput
}

/** Records events of clients without a journal and without numbers. They are in PostgreSQL before the answer. */
export class AuditIngest extends Context.Tag("audit/ingest/AuditIngest")<
  AuditIngest,
  {
    /**
     * Records each event once under the key that `identity` gave it. Returns the outcomes in order, after the COMMIT. Concurrent
     * callers with the same batch get the same ids.
     */
    readonly ingest: (
      identity: string,
      events: ReadonlyArray<IngestEvent>
    ) => Effect.Effect<ReadonlyArray<Ingested>, TrailUnwritable>
  }
>() {
  static readonly layerUrl = (options: AuditIngestOptions): Layer.Layer<AuditIngest> =>
    Layer.scoped(AuditIngest, make(options))

  /** Writes to the gatekeeper's database, with the role of the application. */
  static readonly layer: Layer.Layer<AuditIngest, never, Database> = Layer.unwrapEffect(
    Effect.map(Database, (database) => AuditIngest.layerUrl({ url: database.url("gatekeeper", "application") }))
  )
}

const make = Effect.fnUntraced(function* (options: AuditIngestOptions) {
  const deadline = Duration.decode(options.deadline ?? "5 seconds")
  const patience = Duration.times(deadline, 2)
  const statementTimeout = timeoutWithin(deadline)
  const session = yield* OwnedSession.make(
    { url: options.url, applicationName: "gravitas audit ingest", deadline, connectTimeout: deadline },
    () => Effect.void
  )
  const nextId = makeUuidV7((bytes) => Crypto.getRandomValues(bytes))

  const attempt = (identity: string, events: ReadonlyArray<IngestEvent>) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      session.use((connection) =>
        ingestBatch(connection, identity, events, { freshSource: Crypto.randomUUID(), nextId, now, statementTimeout })
      )
    )
  /** Partitions are created ahead of time; this is the fallback if that failed. */
  const makePartition = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    session.use((connection) => connection.query("select gatekeeper.audit_make_partition($1)", [nextId(now)]))
  )

  const describeKept = (kept: ReadonlyArray<AuditId>, notKept: number): string =>
    [
      ...(kept[0] === undefined
        ? []
        : [`${kept.length} kept in gatekeeper.audit_dead_letter, the first as ${kept[0]}`]),
      ...(notKept === 0 ? [] : [`${notKept} not kept, because ${keptConflicts} others under the key are kept already`])
    ].join("; ")

  const andMore = (count: number) => (count > 1 ? ` So were ${count - 1} more of the batch.` : "")

  /** Logs one line for each kind of problem, not for each event, so that a flood of events does not flood the log. */
  const alarm = Effect.fnUntraced(function* (
    identity: string,
    events: ReadonlyArray<IngestEvent>,
    outcomes: ReadonlyArray<Ingested>
  ) {
    const conflicts = outcomes.flatMap((outcome, index) =>
      outcome.status === "conflict" && outcome.isNew ? [{ ...outcome, clientId: events[index]?.clientId }] : []
    )
    const [conflict] = conflicts
    if (conflict !== undefined) {
      const { clientId, recordedAs } = conflict
      const kept = conflicts.flatMap(({ auditId }) => auditId ?? [])
      yield* Effect.logError(
        `ALARM: ${identity} sent another event under the key ${JSON.stringify(clientId)} of the audit event ${recordedAs}` +
          `${conflicts.length > 1 ? `, and ${conflicts.length - 1} more such in the batch` : ""}; find out who repeats or ` +
          `forges keys. ${describeKept(kept, conflicts.length - kept.length)}.`
      )
    }
    const refused = outcomes.filter(({ status }) => status === "dead_lettered")
    if (refused[0] !== undefined) {
      yield* Effect.logError(
        `The audit event ${refused[0].auditId}, sent by ${identity}, was refused by the table and is in ` +
          `gatekeeper.audit_dead_letter.${andMore(refused.length)}`
      )
    }
  })

  return AuditIngest.of({
    ingest: Effect.fn("AuditIngest.ingest")(function* (identity, events) {
      if (events.length === 0) return []
      const outcomes = yield* attempt(identity, events).pipe(
        Effect.catchIf(
          (error) => retryClass(error) === "partition",
          () => Effect.zipRight(makePartition, attempt(identity, events))
        ),
        Effect.mapError((error: DatabaseError) => new TrailUnwritable({ reason: describe(error) })),
        // A stopped server does not answer a cancel request either, so the client waits for neither.
        Effect.disconnect,
        Effect.timeoutFail({
          duration: patience,
          onTimeout: () => new TrailUnwritable({ reason: "the database did not answer in time" })
        })
      )
      yield* alarm(identity, events, outcomes)
      return outcomes
    })
  })
})
