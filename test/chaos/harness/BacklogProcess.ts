import { performance } from "node:perf_hooks"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"
import { endWithBench, tell } from "../../support/BenchChild.ts"
import { event } from "../../support/BenchEvents.ts"
import { openTrail, type Trail } from "../../support/BenchTrail.ts"

/** `<events> <step>`: records so many when it is told to, and says how it goes; Backlog starts it. */
const [events = 0, step = 1] = process.argv.slice(2).map(Number)

/** The event loop gets a turn after so many. */
const burst = 100

const look = (trail: Trail) =>
  Effect.map(trail.status, ({ depth, in_journal_only: beyond, journal }) => {
    const { heapUsed, rss } = process.memoryUsage()
    return {
      at: performance.timeOrigin + performance.now(),
      depth,
      beyond,
      journal: journal?.bytes ?? 0,
      rss,
      heapUsed
    }
  })

const told = Effect.async<void>((resume) => {
  process.once("message", () => resume(Effect.void))
})

const record = (trail: Trail) =>
  Effect.gen(function* () {
    yield* Effect.flatMap(look(trail), tell)
    for (let number = 1; number <= events; number++) {
      yield* trail.record({ ...event, requestId: `backlog-${number}` })
      if (number % burst === 0) yield* Effect.sleep(0)
      if (number % step === 0) yield* Effect.flatMap(look(trail), tell)
    }
  })

const run = Effect.gen(function* () {
  const url = yield* Config.redacted("DATABASE_URL")
  const trail = yield* openTrail({ url, home: yield* Config.string("GRAVITAS_HOME"), durability: "journal" })
  yield* Effect.zipLeft(tell({}), told)
  yield* record(trail)
  yield* Effect.repeat(Effect.tap(look(trail), tell), {
    until: ({ depth }) => depth === 0,
    schedule: Schedule.spaced("50 millis")
  })
  return yield* Effect.never
}).pipe(Effect.scoped)

endWithBench()

run.pipe(Logger.withMinimumLogLevel(LogLevel.Error), NodeRuntime.runMain)
