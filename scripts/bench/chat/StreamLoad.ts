import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { benchProcess } from "../../../test/support/BenchProcess.ts"
import { StreamOrder, StreamResult } from "./StreamOrder.ts"
import type { StreamTarget } from "./StreamTargets.ts"

/** The generator of streams, in a process of its own. */
export interface StreamLoad {
  /** Dies when an answer is not as expected, or a connection is lost. */
  readonly drive: (order: StreamOrder) => Effect.Effect<StreamResult>
}

const encode = Schema.encodeSync(Schema.parseJson(StreamOrder))

/** Starts a generator that ends with the scope. */
export const streamLoad = Effect.map(
  benchProcess({ program: "scripts/bench/chat/StreamLoadProcess.ts", words: [], environment: {} }),
  ({ next, send }): StreamLoad => ({ drive: (order) => Effect.zipRight(send(encode(order)), next(StreamResult)) })
)

const processorTime = ({ process }: StreamTarget) =>
  process.send("usage").pipe(
    Effect.zipRight(process.next(Schema.Struct({ processorTime: Schema.Number }))),
    Effect.map((usage) => usage.processorTime)
  )

/** What was kept in memory is written in this time, so that it is counted, and does not burden the next target. */
const settling = "300 millis"

/** Drives a target, and returns also its processor time for each chat in microseconds. */
export const driveStreams = (
  load: StreamLoad,
  target: StreamTarget,
  extent: Pick<StreamOrder, "streams" | "millis" | "requests">
) =>
  Effect.gen(function* () {
    const before = yield* processorTime(target)
    const driven = yield* load.drive({ ...target.order, ...extent })
    yield* Effect.sleep(settling)
    const after = yield* processorTime(target)
    return { ...driven, processorTimePerChat: (after - before) / driven.whole.length }
  })

export type StreamMeasurement = Effect.Effect.Success<ReturnType<typeof driveStreams>>
