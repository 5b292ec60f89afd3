import { randomUUID } from "node:crypto"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { History, type NewHistoryRow, type SentHistoryRow } from "./History.ts"

export const written = Metric.counter("router_history_rows_written", { description: "Messages in router.history" })
export const lost = Metric.counter("router_history_rows_lost", {
  description: "Messages that are not in router.history, because the database was away for too long or refused them"
})

interface HistoryWriterOptions {
  /** Characters of content, and a little per row, that may wait. */
  readonly capacity: number
  /** Time for waiting rows when the process ends. */
  readonly endWithin: Duration.DurationInput
  /** The first pause between two attempts of a batch; it doubles. */
  readonly firstPause: Duration.DurationInput
  readonly attempts: number
}

export const standardOptions = {
  capacity: 32 * 1024 * 1024,
  firstPause: "200 millis",
  attempts: 6
} as const

/** The weight of a row without content, in characters. */
const rowWeight = 300

const weightOf = (rows: ReadonlyArray<NewHistoryRow>): number =>
  rows.reduce((sum, { content, message }) => sum + rowWeight + (content?.length ?? 0) + (message?.length ?? 0), 0)

/** Rows of one statement, about; a request with more is one statement. */
const batchSize = 500

/** Weight of one statement, about; a request with more is one statement, as one parameter. */
const batchWeight = 4 * 1024 * 1024

type Entry = ReadonlyArray<SentHistoryRow>

/** Groups entries into batches. The rows of one request stay together. */
const batchesOf = (entries: Iterable<Entry>): ReadonlyArray<ReadonlyArray<Entry>> => {
  const batches: Array<Array<Entry>> = []
  let rows = batchSize
  let weight = 0
  for (const entry of entries) {
    rows += entry.length
    weight += weightOf(entry)
    if (rows > batchSize || weight > batchWeight) {
      batches.push([])
      rows = entry.length
      weight = weightOf(entry)
    }
    batches.at(-1)?.push(entry)
  }
  return batches
}

/** Whether the server refused the statement, so that a retry would be refused too. */
const isFinal = ({ sqlstate }: DatabaseError): boolean => /^(22|23|42)/.test(sqlstate ?? "")

const lose = (rows: number, why: string) =>
  Effect.zipRight(
    Metric.incrementBy(lost, rows),
    Effect.logWarning(`${rows} message${rows === 1 ? " is" : "s are"} not in the history: ${why}`)
  )

/** Writes entries in one statement, with retries; each by itself if the table refuses a row. `done`: rows are written or lost. */
const makeAppend = (
  history: typeof History.Service,
  options: HistoryWriterOptions,
  done: (rows: ReadonlyArray<NewHistoryRow>) => void
) => {
  const append = (entries: ReadonlyArray<Entry>): Effect.Effect<void> => {
    const rows = entries.flat()
    return history.append(rows).pipe(
      Effect.retry({
        times: options.attempts - 1,
        schedule: Schedule.exponential(options.firstPause),
        while: (error) => !isFinal(error)
      }),
      Effect.zipRight(Metric.incrementBy(written, rows.length)),
      Effect.catchAllDefect((defect) =>
        Effect.zipRight(
          Effect.logError("The history failed", defect),
          lose(rows.length, "its writer failed; the cause is logged")
        )
      ),
      Effect.matchEffect({
        onSuccess: () => Effect.sync(() => done(rows)),
        onFailure: (error) =>
          isFinal(error) && entries.length > 1
            ? Effect.forEach(entries, (entry) => append([entry]), { discard: true })
            : Effect.zipRight(
                Effect.sync(() => done(rows)),
                lose(rows.length, error.message)
              )
      })
    )
  }
  return append
}

/**
 * Writes messages beside the requests: no answer waits for it or fails by it. The memory for waiting rows is bounded. Rows beyond that,
 * and rows that cannot be written for long, are lost, counted and logged; the audit trail is separate.
 */
export class HistoryWriter extends Context.Tag("router/history/HistoryWriter")<
  HistoryWriter,
  { readonly write: (rows: ReadonlyArray<NewHistoryRow>) => Effect.Effect<void> }
>() {
  static readonly layer = (options: HistoryWriterOptions) =>
    Layer.scoped(
      HistoryWriter,
      Effect.gen(function* () {
        const history = yield* History
        const mailbox = yield* Mailbox.make<Entry>()
        let waiting = 0
        let unwritten = 0

        const append = makeAppend(history, options, (rows) => {
          waiting -= weightOf(rows)
          unwritten -= rows.length
        })

        const run: Effect.Effect<void> = Effect.flatMap(mailbox.takeAll, ([entries, isDone]) =>
          Effect.zipRight(
            Effect.forEach(batchesOf(Chunk.toReadonlyArray(entries)), append, { discard: true }),
            isDone ? Effect.void : run
          )
        )
        // Added before the fork, so it runs after the worker was interrupted.
        yield* Effect.addFinalizer(() => (unwritten === 0 ? Effect.void : lose(unwritten, "the process ends")))
        const worker = yield* Effect.forkScoped(run)
        // Added after the fork, so it runs before the worker is interrupted.
        yield* Effect.addFinalizer(() =>
          mailbox.end.pipe(
            Effect.zipRight(Fiber.await(worker)),
            Effect.interruptible,
            Effect.timeoutOption(options.endWithin)
          )
        )

        return {
          write: (rows) =>
            Effect.suspend(() => {
              const weight = weightOf(rows)
              if (weight > options.capacity) {
                return lose(
                  rows.length,
                  `the request has ${weight} characters, and at most ${options.capacity} may wait`
                )
              }
              if (waiting + weight > options.capacity) return lose(rows.length, "too many wait for the database")
              // The ids are made before the first attempt: one that seems to fail may have been written.
              const entry = rows.map((row) => ({ ...row, messageId: randomUUID() }))
              if (!mailbox.unsafeOffer(entry)) return lose(rows.length, "the process ends")
              waiting += weight
              unwritten += rows.length
              return Effect.void
            })
        }
      })
    )
}
