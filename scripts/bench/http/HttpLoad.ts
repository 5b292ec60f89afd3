import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { benchProcess } from "../../../test/support/BenchProcess.ts"
import { LoadOrder, LoadResult } from "./LoadOrder.ts"

/** The load generator, in a process of its own: what it costs is not the server's, and not the bench's. */
export interface HttpLoad {
  /** Dies when an answer is not as expected, or a connection is lost that the order does not expect to lose. */
  readonly drive: (order: LoadOrder) => Effect.Effect<LoadResult>
}

/** As the reports name it. */
export const generatorName = "scripts/bench/http/LoadProcess.ts, on node:net with the request's bytes made before"

const encode = Schema.encodeSync(Schema.parseJson(LoadOrder))

/** Starts a generator that ends with the scope. */
export const httpLoad = Effect.map(
  benchProcess({ program: "scripts/bench/http/LoadProcess.ts", words: [], environment: {} }),
  ({ next, send }): HttpLoad => ({ drive: (order) => Effect.zipRight(send(encode(order)), next(LoadResult)) })
)
