import * as Effect from "effect/Effect"
import * as Record from "effect/Record"

/** One call of what is measured: a plain function, or an effect that a fiber runs. */
export type Subject = (() => unknown) | Effect.Effect<unknown, unknown>

const isEffect = (subject: Subject): subject is Effect.Effect<unknown, unknown> => Effect.isEffect(subject)

const now = (): bigint => process.hrtime.bigint()

const callEach = (call: () => unknown, samples: Float64Array, from: number, to: number): void => {
  for (let index = from; index < to; index++) {
    const start = now()
    call()
    const took = Number(now() - start)
    if (index >= 0) samples[index] = took
  }
}

const runEach = (effect: Effect.Effect<unknown>, samples: Float64Array, from: number, to: number) =>
  Effect.gen(function* () {
    for (let index = from; index < to; index++) {
      const start = now()
      yield* effect
      const took = Number(now() - start)
      if (index >= 0) samples[index] = took
    }
  })

/** Without a turn for others in between: the fiber would give one of its own accord. */
const atOnce = Effect.withMaxOpsBeforeYield(Number.MAX_SAFE_INTEGER)

/** Nanoseconds of each call by itself, into `samples[from]` up to `samples[to - 1]`; what is before index 0 is forgotten. */
export const timeEach = (subject: Subject, samples: Float64Array, from: number, to: number): Effect.Effect<void> =>
  isEffect(subject)
    ? atOnce(runEach(Effect.orDie(subject), samples, from, to))
    : Effect.sync(() => callEach(subject, samples, from, to))

const runMany = (effect: Effect.Effect<unknown>, number: number) =>
  Effect.gen(function* () {
    for (let index = 0; index < number; index++) yield* effect
  })

const callMany = (call: () => unknown, number: number): void => {
  for (let index = 0; index < number; index++) call()
}

/** Nanoseconds of a call, from many without a clock between them. */
export const timeAll = (subject: Subject, number: number): Effect.Effect<number> =>
  Effect.gen(function* () {
    const start = now()
    if (isEffect(subject)) yield* runMany(Effect.orDie(subject), number)
    else callMany(subject, number)
    return Number(now() - start) / number
  }).pipe(atOnce)

/** Calls without a pause; then the event loop gets a turn, in which a drain works. */
const burst = 50

/**
 * Nanoseconds of each call. The subjects take turns, burst by burst, so that what else goes on in the process and on the machine
 * meets all of them. The first tenth warms up and does not count.
 */
export const paced = <Name extends string>(
  subjects: Record.ReadonlyRecord<Name, Subject>,
  number: number,
  afterTurn: Effect.Effect<unknown> = Effect.void
) =>
  Effect.gen(function* () {
    const taken = Record.map(subjects, (subject) => ({ subject, samples: new Float64Array(number) }))
    let order = Record.values(taken)
    for (let from = -burst * Math.ceil(number / burst / 10); from < number; from += burst) {
      for (const { samples, subject } of order) yield* timeEach(subject, samples, from, from + burst)
      // The first subject starts with cold processor caches, so the order rotates.
      order = [...order.slice(1), ...order.slice(0, 1)]
      yield* afterTurn
      yield* Effect.sleep("1 millis")
    }
    return Record.map(taken, ({ samples }) => samples)
  })
