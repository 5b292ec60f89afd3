import * as Crypto from "node:crypto"
import * as Os from "node:os"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { bootId } from "../../platform/os/BootId.ts"
import { type Connection, connect } from "../../platform/postgres/Connection.ts"
import { Database } from "../../platform/postgres/Database.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { AuditId } from "../encoding/AuditId.ts"
import { boundText } from "../encoding/BoundedText.ts"
import { makeUuidV7 } from "../encoding/UuidV7.ts"
import { incarnationStatements } from "../store/AuditIncarnation.ts"
import type { Incarnation } from "../store/AuditStore.ts"
import { describe } from "../store/RetryClass.ts"
import { TrailUnreachable } from "../store/TrailUnreachable.ts"
import { details, keysOfEvents, type LetterDetail, type LetterSummary, page, waitingKeys } from "./DeadLetterReading.ts"
import { type LetterKey, type Replayed, replayLetter } from "./DeadLetterReplay.ts"

/** No dead letter has this event id. */
export class LetterUnknown extends Schema.TaggedError<LetterUnknown>()("LetterUnknown", {
  id: Schema.String
}) {
  override get message(): string {
    return `there is no dead letter of an event ${this.id.slice(0, 100)}. Look at the list for those that there are`
  }
}

/** The database did not go on with a replay. Each letter is replayed whole or not at all. */
export class ReplayStopped extends Schema.TaggedError<ReplayStopped>()("ReplayStopped", {
  /** Letters that are done with. */
  done: Schema.Number,
  reason: Schema.String
}) {
  override get message(): string {
    return (
      `the replay stopped after ${this.done} letters: ${this.reason}. Nothing is half done; see that PostgreSQL is well and ` +
      "replay again: letters that are in the trail are passed over"
    )
  }
}

export type ReplayRequest = {
  /** Who replays, for the record: at most 200 characters. */
  readonly by: string
} & (
  | { readonly ids: ReadonlyArray<string> }
  /** Each that no replay has settled. */
  | { readonly all: true }
)

export interface LettersQuery {
  /** From 1 to `maximumLetters`; held to that range. */
  readonly limit: number
  /** The last letter of the page before. */
  readonly after?: LetterKey | undefined
}

export const maximumLetters = 1_000
const keysAtOnce = 500

export interface DeadLettersOptions {
  readonly url: Redacted.Redacted
  /** Of one statement. */
  readonly deadline?: Duration.DurationInput
}

/** What the table refused: to look at, and to bring into the trail once it would take it. Nothing here expires. */
export class DeadLetters extends Context.Tag("audit/dead-letters/DeadLetters")<
  DeadLetters,
  {
    /** Newest first. */
    readonly list: (query: LettersQuery) => Effect.Effect<ReadonlyArray<LetterSummary>, TrailUnreachable>
    /** The letters of one event, oldest first: several when they came with different contents. */
    readonly show: (eventId: string) => Effect.Effect<ReadonlyArray<LetterDetail>, TrailUnreachable | LetterUnknown>
    /**
     * Brings letters into the trail, oldest first, from their original bytes; harmless when repeated, also by several at once. What
     * became of each is recorded beside it; one that comes into the trail is told of there. An unknown id replays none.
     */
    readonly replay: (
      request: ReplayRequest
    ) => Effect.Effect<ReadonlyArray<Replayed>, TrailUnreachable | LetterUnknown | ReplayStopped>
  }
>() {
  static readonly layerUrl = (options: DeadLettersOptions): Layer.Layer<DeadLetters> =>
    Layer.succeed(DeadLetters, make(options))

  /** In the gatekeeper's database, as the application. */
  static readonly layer: Layer.Layer<DeadLetters, never, Database> = Layer.effect(
    DeadLetters,
    Effect.map(Database, (database) => make({ url: database.url("gatekeeper", "application") }))
  )
}

const make = (options: DeadLettersOptions) => {
  const deadline = Duration.decode(options.deadline ?? "10 seconds")
  const statementTimeout = Math.max(1, Math.floor(Duration.toMillis(deadline) * 0.9))
  const session = connect({ url: options.url, applicationName: "gravitas dead letters", deadline })
  const unreachable = (error: DatabaseError) => new TrailUnreachable({ reason: describe(error) })
  const ask = <A>(question: (connection: Connection) => Effect.Effect<A, DatabaseError>) =>
    Effect.scoped(Effect.flatMap(session, question)).pipe(Effect.mapError(unreachable))

  /** Another session than the one that may have failed. */
  const signOff = (incarnation: Incarnation) =>
    Effect.scoped(
      Effect.flatMap(session, (connection) =>
        incarnationStatements(connection, statementTimeout).signOffAtLastRow(incarnation)
      )
    ).pipe(
      Effect.catchAll((error) =>
        Effect.logWarning(
          `The replay of dead letters could not be signed off: ${describe(error)}. Its events are written.`
        )
      )
    )

  const replayWith = Effect.fnUntraced(function* (connection: Connection, request: ReplayRequest) {
    const by = boundText(request.by.trim() === "" ? "somebody" : request.by, 200).text
    const nextId = makeUuidV7((bytes) => Crypto.randomFillSync(bytes))
    const incarnation: Incarnation = {
      source: Crypto.randomUUID(),
      host: Os.hostname(),
      pid: process.pid,
      startedAt: yield* Clock.currentTimeMillis,
      bootId: yield* bootId,
      durability: "commit"
    }
    const done: Array<Replayed> = []
    let seq = 0
    let toSignOff = false
    const stopped = (error: DatabaseError) => new ReplayStopped({ done: done.length, reason: describe(error) })

    const one = Effect.fnUntraced(function* (key: LetterKey, partitionAsked: boolean) {
      const now = yield* Clock.currentTimeMillis
      const context = { by, incarnation, nextId, now, partitionAsked, seq: seq + 1, statementTimeout }
      return yield* replayLetter(connection, key, context)
    })

    const replay = Effect.fnUntraced(function* (key: LetterKey) {
      const outcome = yield* one(key, false).pipe(
        Effect.catchTag("NoPartition", () =>
          Effect.zipRight(connection.query("select gatekeeper.audit_make_partition($1)", [key.eventId]), one(key, true))
        ),
        Effect.mapError((error) => stopped(error._tag === "NoPartition" ? error.error : error)),
        // Its COMMIT may have been written, though nobody heard of it.
        Effect.onError(() => Effect.sync(() => (toSignOff = true)))
      )
      if (outcome === undefined) return
      if (outcome.auditId !== null) {
        seq += 1
        toSignOff = true
      }
      done.push(outcome)
    })

    const all = Effect.gen(function* () {
      let after: LetterKey | undefined
      do {
        const keys = yield* Effect.mapError(waitingKeys(connection, keysAtOnce, after), stopped)
        for (const key of keys) yield* replay(key)
        after = keys.at(-1)
      } while (after !== undefined)
    })

    const those = Effect.fnUntraced(function* (ids: ReadonlyArray<string>) {
      const unknown = ids.find((id) => !Schema.is(AuditId)(id))
      if (unknown !== undefined) return yield* new LetterUnknown({ id: unknown })
      const keys = yield* Effect.mapError(keysOfEvents(connection, ids), stopped)
      const absent = ids.find((id) => !keys.some(({ eventId }) => eventId === id))
      if (absent !== undefined) return yield* new LetterUnknown({ id: absent })
      for (const key of keys) yield* replay(key)
    })

    // The events that tell of the replays are of this month.
    yield* Effect.mapError(connection.query("select gatekeeper.audit_make_partitions_ahead()"), stopped)
    yield* ("ids" in request ? those(request.ids) : all).pipe(
      Effect.ensuring(Effect.suspend(() => (toSignOff ? signOff(incarnation) : Effect.void)))
    )
    return done
  })

  return DeadLetters.of({
    list: Effect.fn("DeadLetters.list")(function* ({ after, limit }) {
      const held = Math.min(Math.max(Math.trunc(limit), 1), maximumLetters)
      return yield* ask((connection) => page(connection, held, after))
    }),
    show: Effect.fn("DeadLetters.show")(function* (eventId) {
      if (!Schema.is(AuditId)(eventId)) return yield* new LetterUnknown({ id: eventId })
      const found = yield* ask((connection) => details(connection, eventId))
      return found.length === 0 ? yield* new LetterUnknown({ id: eventId }) : found
    }),
    replay: (request) =>
      Effect.flatMap(Effect.mapError(session, unreachable), (connection) => replayWith(connection, request)).pipe(
        Effect.scoped,
        Effect.withSpan("DeadLetters.replay")
      )
  })
}
