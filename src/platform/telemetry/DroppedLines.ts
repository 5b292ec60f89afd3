import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import { yieldNow } from "../os/EventLoop.ts"
import { StandardStreams } from "../os/StandardStreams.ts"

const droppedLines = Metric.counter("log_lines_dropped", {
  description: "Log lines that stdout did not accept",
  incremental: true
})

/** Counts the log lines that stdout does not accept, and logs their number when it accepts lines again. Looks once a second. */
export const layer: Layer.Layer<never, never, StandardStreams> = Layer.scopedDiscard(
  Effect.gen(function* () {
    const { stdout } = yield* StandardStreams
    let counted = 0
    let reported = 0
    const look = Effect.gen(function* () {
      const dropped = stdout.dropped()
      yield* Metric.incrementBy(droppedLines, dropped - counted)
      counted = dropped
      if (dropped === reported || stdout.problem() !== undefined) return
      yield* Effect.logWarning(
        `${dropped - reported} log lines were dropped: stdout did not accept them. It accepts lines again.`
      )
      yield* yieldNow
      // The line itself may have been dropped, too.
      if (stdout.dropped() === dropped) reported = dropped
    })
    yield* Effect.addFinalizer(() => look)
    yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced("1 second")))
  })
)
