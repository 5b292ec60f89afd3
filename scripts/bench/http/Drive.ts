import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { HttpLoad } from "./HttpLoad.ts"
import type { LoadOrder } from "./LoadOrder.ts"
import type { Server } from "./Rivals.ts"

const body = JSON.stringify({
  action: "execute",
  resource: "shells/l1/small-model",
  metadata: { shell_id: "gemma2:27b", complexity: 5, priority: 10, client: "bench", labels: ["a", "b"] }
})

/** The question of all rivals, and what each must answer. */
export const question = (
  { url }: Pick<Server, "url">,
  token: string,
  load: Pick<LoadOrder, "connections" | "millis"> & Partial<Pick<LoadOrder, "requestsPerSecond" | "isKilled">>
): LoadOrder => ({
  url: new URL("/validate", url).href,
  token,
  body,
  expected: ['"allowed":true', '"ghost_id":"Librarian"', '"audit_id":"'],
  requestsPerSecond: null,
  isKilled: false,
  ...load
})

const processorTime = ({ process }: Pick<Server, "process">) =>
  process.send("usage").pipe(
    Effect.zipRight(process.next(Schema.Struct({ processorTime: Schema.Number }))),
    Effect.map((usage) => usage.processorTime)
  )

/** What was kept in memory is written in this time, so that it is counted, and does not burden the next rival. */
const settling = "300 millis"

/** Drives a server, and returns also its processor time for each request in microseconds, the writing of its events included. */
export const drive = (load: HttpLoad, server: Pick<Server, "process">, order: LoadOrder) =>
  Effect.gen(function* () {
    const before = yield* processorTime(server)
    const driven = yield* load.drive(order)
    yield* Effect.sleep(settling)
    const after = yield* processorTime(server)
    return { ...driven, processorTimePerRequest: (after - before) / driven.requests }
  })

export type Measurement = Effect.Effect.Success<ReturnType<typeof drive>>

/** Rotates the order each round, so that none is always the first. */
export const rotated = <A>(all: ReadonlyArray<A>, round: number): ReadonlyArray<A> => [
  ...all.slice(round % all.length),
  ...all.slice(0, round % all.length)
]
