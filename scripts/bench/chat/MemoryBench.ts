import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { flatBounds, type MemorySample, trendOf } from "../../../test/support/MemoryTrend.ts"
import { fixed, line, whole } from "../../../test/support/Table.ts"
import { progress } from "../Progress.ts"
import { driveStreams, streamLoad } from "./StreamLoad.ts"
import { type StreamTarget, startBuiltRouter, startProvider } from "./StreamTargets.ts"

/** Streams at once. */
const atOnce = 16

/** The samples after the first. */
const steps = 5

const Memory = Schema.Struct({ heapUsed: Schema.Number, rss: Schema.Number })

const memoryOf = ({ process }: StreamTarget) => Effect.zipRight(process.send("memory"), process.next(Memory))

/** What the router's process holds before, during and after so many streams. */
export const memoryBench = (server: Redacted.Redacted, streams: number) =>
  Effect.gen(function* () {
    const provider = yield* startProvider
    const router = yield* startBuiltRouter(server, provider.order.url, ["--expose-gc"])
    const load = yield* streamLoad
    const samples: Array<MemorySample> = [{ streams: 0, ...(yield* memoryOf(router)) }]
    for (let step = 1; step <= steps; step++) {
      yield* progress(`memory, streams ${step} fifths of ${streams}`)
      yield* driveStreams(load, router, { streams: atOnce, millis: null, requests: streams / steps })
      samples.push({ streams: (streams / steps) * step, ...(yield* memoryOf(router)) })
    }
    return { samples, bounds: flatBounds, ...trendOf(samples) }
  }).pipe(Effect.scoped)

export type MemoryReport = Effect.Effect.Success<ReturnType<typeof memoryBench>>

const megabytes = (bytes: number): string => fixed(1)(bytes / 2 ** 20)

export const memoryTable = ({ bounds, isFlat, perStream, samples }: MemoryReport): ReadonlyArray<string> => [
  line("memory of the router's process, MiB", ["heap", "resident"]),
  ...samples.map(({ heapUsed, rss, streams }) =>
    line(`after ${whole(streams)} streams`, [megabytes(heapUsed), megabytes(rss)])
  ),
  line("second half, bytes a stream", [whole(perStream.heapUsed), whole(perStream.rss)]),
  line("at most", [whole(bounds.heapUsed), whole(bounds.rss)]),
  isFlat ? "flat" : "NOT FLAT"
]
