import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/** A batch could not be run, committed or recorded. `cause` says why. */
export class BatchFailed extends Schema.TaggedError<BatchFailed>()("BatchFailed", {
  name: Schema.String,
  problem: Schema.String,
  cause: Schema.optional(Schema.Unknown)
}) {
  override get message(): string {
    return `batches ${JSON.stringify(this.name)}: ${this.problem}`
  }
}

/** How far the batches of one name have come. */
export const Progress = Schema.Struct({
  /** The last key, encoded; null before the first, and where none is used. */
  key: Schema.Unknown,
  batches: Schema.Number,
  rows: Schema.Number,
  done: Schema.Boolean
})
export type Progress = typeof Progress.Type

export const notBegun: Progress = { key: null, batches: 0, rows: 0, done: false }

/** The migrator's side of batched work: given to every data revision while it runs. */
export class Batches extends Context.Tag("migrator/Batches")<
  Batches,
  {
    /** What was recorded, by this run or by an earlier one that was cut off. */
    readonly standing: (name: string) => Effect.Effect<Progress, BatchFailed>
    /** One batch and the record of it, committed together; tried again at a lock timeout or a deadlock. */
    readonly commit: <E, R>(
      name: string,
      limit: Duration.DurationInput,
      batch: Effect.Effect<Progress, E, R>
    ) => Effect.Effect<Progress, E | BatchFailed, R>
  }
>() {}

interface BatchOptions {
  /** Under which the progress is kept; each call within one revision has its own. */
  readonly name: string
  /** The longest that one batch may hold its locks (default 10 s): one that lasts longer is rolled back and fails. */
  readonly limit?: Duration.DurationInput
}

const longest: Duration.DurationInput = "10 seconds"

/**
 * Works through a table by key, in batches that each commit by themselves. `batch` gets the last key of the batch before
 * (none at first) and answers how many rows it wrote and the last key that it saw; no key ends the work. The key is
 * recorded with each batch, so that a run after a kill goes on where the last commit was. Needs `transaction:false`.
 */
export const inBatches = <K, I, E, R>(
  options: BatchOptions & {
    /** Encodes to JSON. */
    readonly key: Schema.Schema<K, I>
    readonly batch: (
      after: Option.Option<K>
    ) => Effect.Effect<{ readonly rows: number; readonly last: Option.Option<K> }, E, R>
  }
): Effect.Effect<number, E | BatchFailed, R | Batches> =>
  Effect.gen(function* () {
    const { name, limit = longest } = options
    const batches = yield* Batches
    const unreadable = (cause: unknown) => new BatchFailed({ name, problem: `the key cannot be kept: ${cause}`, cause })
    const encode = (key: K) => Effect.mapError(Schema.encode(options.key)(key), unreadable)
    const decode = (key: unknown) => Effect.mapError(Schema.decodeUnknown(options.key)(key), unreadable)
    let progress = yield* batches.standing(name)
    while (!progress.done) {
      const before = progress
      const after = before.key === null ? Option.none() : Option.some(yield* decode(before.key))
      progress = yield* batches.commit(
        name,
        limit,
        Effect.gen(function* () {
          const { last, rows } = yield* options.batch(after)
          const key = Option.isNone(last) ? before.key : yield* encode(last.value)
          return { key, batches: before.batches + 1, rows: before.rows + rows, done: Option.isNone(last) }
        })
      )
    }
    return progress.rows
  })

/**
 * Runs `batch` again and again, each time in a transaction of its own, until it answers that no row was left. It must
 * find by itself what is still to be done (`… where reason is null limit 1000`), which makes it resumable. Needs `transaction:false`.
 */
export const untilNoRowIsLeft = <E, R>(
  options: BatchOptions & {
    /** Answers the number of rows that it did. */
    readonly batch: Effect.Effect<number, E, R>
  }
): Effect.Effect<number, E | BatchFailed, R | Batches> =>
  Effect.gen(function* () {
    const { batch, limit = longest, name } = options
    const batches = yield* Batches
    let progress = yield* batches.standing(name)
    while (!progress.done) {
      const before = progress
      progress = yield* batches.commit(
        name,
        limit,
        Effect.map(batch, (rows) => ({
          key: null,
          batches: before.batches + 1,
          rows: before.rows + rows,
          done: rows === 0
        }))
      )
    }
    return progress.rows
  })
