import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/** A batch could not run, commit or be recorded. `cause` is the reason. */
export class BatchFailed extends Schema.TaggedError<BatchFailed>()("BatchFailed", {
  name: Schema.String,
  problem: Schema.String,
  cause: Schema.optional(Schema.Unknown)
}) {
  override get message(): string {
    return `batches ${JSON.stringify(this.name)}: ${this.problem}`
  }
}

/** The progress of the batches with one name. */
export const Progress = Schema.Struct({
  /** The last key, encoded; null before the first batch, and for work without keys. */
  key: Schema.Unknown,
  batches: Schema.Number,
  rows: Schema.Number,
  done: Schema.Boolean
})
export type Progress = typeof Progress.Type

export const notBegun: Progress = { key: null, batches: 0, rows: 0, done: false }

/** Commits and records batches. The migrator provides it to every data revision while it runs. */
export class Batches extends Context.Tag("migrator/files/Batches")<
  Batches,
  {
    /** Reads the progress that this run or an interrupted one recorded. */
    readonly progressOf: (name: string) => Effect.Effect<Progress, BatchFailed>
    /** Commits one batch with the record of it; retries after a lock timeout or a deadlock. */
    readonly commit: <E, R>(
      name: string,
      limit: Duration.DurationInput,
      batch: Effect.Effect<Progress, E, R>
    ) => Effect.Effect<Progress, E | BatchFailed, R>
  }
>() {}

interface BatchOptions {
  /** The name under which progress is recorded; each call within one revision needs its own. */
  readonly name: string
  /** The longest time for one batch (default 10 s), which holds its locks. A longer one is rolled back and fails. */
  readonly limit?: Duration.DurationInput
}

/** Commits batches until one is the last, and returns the number of rows. `next` prepares a batch from the progress before it. */
const commitAll = Effect.fnUntraced(function* <E, R>(
  { limit = "10 seconds", name }: BatchOptions,
  next: (before: Progress) => Effect.Effect<Effect.Effect<Progress, E, R>, BatchFailed>
) {
  const batches = yield* Batches
  let progress = yield* batches.progressOf(name)
  while (!progress.done) progress = yield* batches.commit(name, limit, yield* next(progress))
  return progress.rows
})

/**
 * Works through a table by key, in batches that commit one by one. `batch` receives the last key of the batch before (None at
 * first) and returns how many rows it wrote and the last key that it saw; None ends the work. The key is recorded with each
 * batch, so that a run after a crash continues after the last commit. Needs `transaction:false`. Returns the number of rows.
 */
export const inBatches = <K, I, E, R>(
  options: BatchOptions & {
    /** Encodes to JSON. */
    readonly key: Schema.Schema<K, I>
    readonly batch: (
      after: Option.Option<K>
    ) => Effect.Effect<{ readonly rows: number; readonly last: Option.Option<K> }, E, R>
  }
): Effect.Effect<number, E | BatchFailed, R | Batches> => {
  const unreadable = (cause: unknown) =>
    new BatchFailed({ name: options.name, problem: `the key cannot be encoded or decoded: ${cause}`, cause })
  const encode = (key: K) => Effect.mapError(Schema.encode(options.key)(key), unreadable)
  const decode = (key: unknown) => Effect.mapError(Schema.decodeUnknown(options.key)(key), unreadable)
  return commitAll<E | BatchFailed, R>(options, (before) =>
    Effect.map(before.key === null ? Effect.succeedNone : Effect.asSome(decode(before.key)), (after) =>
      Effect.gen(function* () {
        const { last, rows } = yield* options.batch(after)
        const key = Option.isNone(last) ? before.key : yield* encode(last.value)
        return { key, batches: before.batches + 1, rows: before.rows + rows, done: Option.isNone(last) }
      })
    )
  )
}

/**
 * Repeats `batch`, each time in a transaction of its own, until it returns 0 rows. It must itself find the rows that are left
 * (`… where reason is null limit 1000`), so that it can resume. Needs `transaction:false`. Returns the number of rows.
 */
export const untilNoRowIsLeft = <E, R>(
  options: BatchOptions & {
    /** Returns the number of rows that it changed. */
    readonly batch: Effect.Effect<number, E, R>
  }
): Effect.Effect<number, E | BatchFailed, R | Batches> =>
  commitAll(options, ({ batches, rows: before }) =>
    Effect.succeed(
      Effect.map(options.batch, (rows) => ({ key: null, batches: batches + 1, rows: before + rows, done: rows === 0 }))
    )
  )
