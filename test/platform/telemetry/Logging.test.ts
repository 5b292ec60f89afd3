import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { HandledRequest } from "../../../src/platform/http/RequestContext.ts"
import { annotatingRequest } from "../../../src/platform/telemetry/Logging.ts"

const trace = "0af7651916cd43dd8448eb211c80319c"
const headers = { "x-request-id": "request-1", traceparent: `00-${trace}-b7ad6b7169203331-01` }

/** The annotations of one line that is logged in the effect's context. */
const annotationsOf = (withRequest: (line: Effect.Effect<void>) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const lines: Array<object> = []
    const logger = annotatingRequest(Logger.map(Logger.structuredLogger, ({ annotations }) => lines.push(annotations)))
    yield* withRequest(Effect.log("a line")).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
    return lines
  })

describe("A log line", () => {
  it.effect("names the request and the trace on both lanes, and neither outside of a request", () =>
    Effect.gen(function* () {
      const request = HttpServerRequest.fromWeb(new Request("http://x/validate", { headers }))
      const expected = [{ request_id: "request-1", trace_id: trace }]
      const slow = Effect.provideService(HttpServerRequest.HttpServerRequest, request)
      expect(yield* annotationsOf(slow)).toEqual(expected)
      expect(yield* annotationsOf(Effect.provideService(HandledRequest, { headers }))).toEqual(expected)
      expect(yield* annotationsOf((line) => line)).toEqual([{}])
    })
  )
})
