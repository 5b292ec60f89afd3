import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

export interface Patience {
  /** By default 20 seconds. */
  readonly within?: Duration.DurationInput
  /** The pause between two looks; by default 20 milliseconds. */
  readonly every?: Duration.DurationInput
  /** What to say besides the last value when the patience is used up. */
  readonly note?: () => string
}

/**
 * Looks again until the value `holds`, and returns that value. A look that fails is repeated too.
 *
 * Dies with the last value or failure when that takes longer than `within`.
 */
export const eventually = <A, E, R>(
  look: Effect.Effect<A, E, R>,
  holds: (value: A) => boolean,
  { every = "20 millis", note = () => "", within = "20 seconds" }: Patience = {}
): Effect.Effect<A, never, R> =>
  Effect.suspend(() => {
    let last: unknown
    const seen = (value: unknown) =>
      Effect.sync(() => {
        last = value
      })
    return look.pipe(
      Effect.tapBoth({ onFailure: seen, onSuccess: seen }),
      Effect.filterOrFail(holds, () => "not yet" as const),
      Effect.retry(Schedule.spaced(every)),
      Effect.timeoutFail({
        duration: within,
        onTimeout: () =>
          new Error(`not within ${Duration.format(within)}; the last value: ${JSON.stringify(last)} ${note()}`)
      }),
      Effect.orDie
    )
  })
