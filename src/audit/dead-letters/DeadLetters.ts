import * as Crypto from "node:crypto"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { type Connection, connect } from "../../platform/postgres/Connection.ts"
import { Database } from "../../platform/postgres/Database.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { AuditId, makeUuidV7 } from "../encoding/AuditId.ts"
import { boundText } from "../encoding/BoundedText.ts"
import { incarnationStatements } from "../store/AuditIncarnation.ts"
import type { Incarnation } from "../store/AuditStore.ts"
import { timeoutWithin } from "../store/AuditWrites.ts"
import { makeIncarnation } from "../store/ProcessJournal.ts"
import { describe } from "../store/RetryClass.ts"
import { TrailUnreachable } from "../store/TrailUnreachable.ts"
import {
  details,
  keysOfEvents,
  type LetterDetail,
  type LetterSummary,
  page,
  waitingConflicts,
  waitingKeys
} from "./DeadLetterReading.ts"
import { type LetterKey, type Replay, type Replayed, replayLetter } from "./DeadLetterReplay.ts"

/** No dead letter has this event id. */
export class LetterUnknown extends Schema.TaggedError<LetterUnknown>()("LetterUnknown", {
  id: Schema.String
}) {
  override get message(): string {
    return `there is no dead letter of an event ${this.id.slice(0, 100)}. List the dead letters to see their ids`
  }
}

/** The database stopped a replay. Each letter is replayed completely or not at all. */
export class ReplayStopped extends Schema.TaggedError<ReplayStopped>()("ReplayStopped", {
  done: Schema.Number,
  reason: Schema.String
}) {
  override get message(): string {
    return (
      `the replay stopped after ${this.done} letters: ${this.reason}. No letter is half done. Check that PostgreSQL answers, then ` +
      "replay again: letters that are in the trail are skipped"
    )
  }
}

export type ReplayRequest = {
  /** The person who replays, for the record: at most 200 characters. */
  readonly by: string
} & (
  | { readonly ids: ReadonlyArray<string> }
  /** All letters that are not replayed yet, without conflicts: each of those needs a decision of its own. */
  | { readonly all: true }
)

export interface LettersQuery {
  /** From 1 to `maximumLetters`; other values are moved into that range. */
  readonly limit: number
  /** The last letter of the previous page. */
  readonly after?: LetterKey | undefined
}

const maximumLetters = 1_000
const keysAtOnce = 500

export interface DeadLettersOptions {
  readonly url: Redacted.Redacted
  /** Of one statement. */
  readonly deadline?: Duration.DurationInput
}

/** Rows that the table refused: lists them, and replays them once the table accepts them. Dead letters do not expire. */
export class DeadLetters extends Context.Tag("audit/dead-letters/DeadLetters")<
  DeadLetters,
  {
    /** Lists letters, newest first. */
    readonly list: (query: LettersQuery) => Effect.Effect<ReadonlyArray<LetterSummary>, TrailUnreachable>
    /** Returns the letters of one event, oldest first: there are several if their contents differ. */
    readonly show: (eventId: string) => Effect.Effect<ReadonlyArray<LetterDetail>, TrailUnreachable | LetterUnknown>
    /**
     * Writes letters to the trail, oldest first, from their original bytes. Idempotent, and safe for concurrent callers. The
     * outcome is recorded beside each letter, and an event reports each replayed one. An unknown id replays none. The row of a
     * conflict has the mark `ingest:conflict`.
     */
    readonly replay: (
      request: ReplayRequest
    ) => Effect.Effect<ReadonlyArray<Replayed>, TrailUnreachable | LetterUnknown | ReplayStopped>
    /** How many conflicts are not in the trail. */
    readonly conflicts: Effect.Effect<number, TrailUnreachable>
  }
>() {
  static readonly layerUrl = (options: DeadLettersOptions): Layer.Layer<DeadLetters> =>
    Layer.succeed(DeadLetters, make(options))

  /** Uses the gatekeeper's database, with the role of the application. */
  static readonly layer: Layer.Layer<DeadLetters, never, Database> = Layer.effect(
    DeadLetters,
    Effect.map(Database, (database) => make({ url: database.url("gatekeeper", "application") }))
  )
}

/** Replays one letter; creates the partition of its row if that is missing. */
const replayOne = Effect.fnUntraced(function* (replay: Replay, key: LetterKey) {
  const makePartition = replay.connection.query("select gatekeeper.audit_make_partition($1)", [key.eventId])
  const outcome = yield* replayLetter(replay, key, false).pipe(
    Effect.catchTag("NoPartition", () => Effect.zipRight(makePartition, replayLetter(replay, key, true))),
    Effect.catchTag("NoPartition", ({ error }) => error),
    // The COMMIT may have succeeded although its answer was lost.
    Effect.onError(() => Effect.sync(() => (replay.toSignOff = true)))
  )
  if (outcome === undefined) return
  if (outcome.auditId !== null) {
    replay.seq += 1
    replay.toSignOff = true
  }
  replay.done.push(outcome)
})

const replayAll = Effect.fnUntraced(function* (replay: Replay) {
  let after: LetterKey | undefined
  do {
    const keys = yield* waitingKeys(replay.connection, keysAtOnce, after)
    for (const key of keys) yield* replayOne(replay, key)
    after = keys.at(-1)
  } while (after !== undefined)
})

const replayEvents = Effect.fnUntraced(function* (replay: Replay, ids: ReadonlyArray<string>) {
  const unknown = ids.find((id) => !Schema.is(AuditId)(id))
  if (unknown !== undefined) return yield* new LetterUnknown({ id: unknown })
  const keys = yield* keysOfEvents(replay.connection, ids)
  const absent = ids.find((id) => !keys.some(({ eventId }) => eventId === id))
  if (absent !== undefined) return yield* new LetterUnknown({ id: absent })
  for (const key of keys) yield* replayOne(replay, key)
})

const make = (options: DeadLettersOptions) => {
  const deadline = Duration.decode(options.deadline ?? "10 seconds")
  const statementTimeout = timeoutWithin(deadline)
  const session = connect({ url: options.url, applicationName: "gravitas dead letters", deadline })
  const unreachable = (error: DatabaseError) => new TrailUnreachable({ reason: describe(error) })
  const ask = <A>(question: (connection: Connection) => Effect.Effect<A, DatabaseError>) =>
    Effect.scoped(Effect.flatMap(session, question)).pipe(Effect.mapError(unreachable))

  /** Signs off on another session than the one that may have failed. */
  const signOff = (incarnation: Incarnation) =>
    Effect.flatMap(session, (connection) =>
      incarnationStatements(connection, statementTimeout).signOffAtLastRow(incarnation)
    ).pipe(
      Effect.scoped,
      Effect.catchAll((error) =>
        Effect.logWarning(
          `The replay of dead letters could not be signed off: ${describe(error)}. Its events are written.`
        )
      )
    )

  const replayWith = Effect.fnUntraced(function* (connection: Connection, request: ReplayRequest) {
    const replay: Replay = {
      connection,
      by: boundText(request.by.trim() === "" ? "unknown" : request.by, 200).text,
      incarnation: yield* makeIncarnation("commit"),
      nextId: makeUuidV7((bytes) => Crypto.randomFillSync(bytes)),
      statementTimeout,
      done: [],
      seq: 0,
      toSignOff: false
    }
    // The events that report the replays belong to the current month.
    yield* connection.query("select gatekeeper.audit_make_partitions_ahead()").pipe(
      Effect.zipRight("ids" in request ? replayEvents(replay, request.ids) : replayAll(replay)),
      Effect.catchTag(
        "DatabaseError",
        (error) => new ReplayStopped({ done: replay.done.length, reason: describe(error) })
      ),
      Effect.ensuring(Effect.suspend(() => (replay.toSignOff ? signOff(replay.incarnation) : Effect.void)))
    )
    return replay.done
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
    conflicts: ask(waitingConflicts),
    replay: (request) =>
      Effect.flatMap(Effect.mapError(session, unreachable), (connection) => replayWith(connection, request)).pipe(
        Effect.scoped,
        Effect.withSpan("DeadLetters.replay")
      )
  })
}
