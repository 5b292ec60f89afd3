import * as V8 from "node:v8"
import * as Vm from "node:vm"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"
import { endWithBench, tell } from "../../../test/support/BenchChild.ts"
import { event } from "../../../test/support/BenchEvents.ts"
import { openTrail, type Trail } from "../../../test/support/BenchTrail.ts"
import { percentiles } from "../../../test/support/Samples.ts"

/**
 * `fill <events>` records events that are not written to the database, and waits to be killed; `recover` starts after it in the
 * same home. RecoveryBench starts both.
 */
const [role, number] = process.argv.slice(2)
const events = Number(number)

const where = Effect.all({ url: Config.redacted("DATABASE_URL"), home: Config.string("GRAVITAS_HOME") })

const rss = (): number => process.memoryUsage().rss

/** Bytes that are still reachable, the buffers outside the heap included: RSS grows with the room that the collector takes, too. */
const liveMemory = (): number => {
  V8.setFlagsFromString("--expose-gc")
  const collect: unknown = Vm.runInNewContext("gc")
  if (typeof collect === "function") collect()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Shares of all events, at which the memory is looked at. */
const marks = [0, 0.1, 0.5, 1]

/** The event loop gets a turn after so many. */
const burst = 100
/** One call in so many is timed. */
const timedCalls = 10

const recordAll = (trail: Trail) =>
  Effect.gen(function* () {
    // Filled now: pages that it touches later would count as growth.
    const taken = new Float64Array(Math.ceil(events / timedCalls)).fill(-1)
    const memory: Array<number> = []
    for (let index = 0; index < events; index++) {
      if (index >= (marks[memory.length] ?? 2) * events) memory.push(rss())
      const start = process.hrtime.bigint()
      yield* trail.record(event)
      if (index % timedCalls === 0) taken[index / timedCalls] = Number(process.hrtime.bigint() - start)
      if (index % burst === 0) yield* Effect.sleep(0)
    }
    return { rss: [...memory, rss()], latency: percentiles(taken) }
  })

const fill = Effect.gen(function* () {
  const trail = yield* openTrail({ ...(yield* where), durability: "journal", gate: Effect.never })
  const before = liveMemory()
  const recorded = yield* recordAll(trail)
  const { depth } = yield* trail.status
  yield* tell({ ...recorded, pending: depth, liveMemory: [before, liveMemory()] })
  return yield* Effect.never
}).pipe(Effect.scoped)

const recover = Effect.gen(function* () {
  const given = yield* where
  let highest = 0
  const watch = Effect.sync(() => {
    highest = Math.max(highest, rss())
  })
  const [took] = yield* Effect.timed(
    Effect.gen(function* () {
      const trail = yield* openTrail({ ...given, durability: "journal" })
      yield* Effect.zipRight(watch, trail.status).pipe(
        Effect.repeat({
          until: ({ journal }) => journal !== null && journal.others.adopted > 0,
          schedule: Schedule.spaced("5 millis")
        })
      )
    })
  )
  yield* tell({ seconds: Duration.toSeconds(took), highestRss: highest })
}).pipe(Effect.scoped)

endWithBench()

const run = role === "fill" ? fill : recover
run.pipe(Logger.withMinimumLogLevel(LogLevel.Error), NodeRuntime.runMain)
