import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { HandledRequest } from "../../../src/platform/http/RequestContext.ts"
import { prepared } from "../../../src/platform/telemetry/Logging.ts"

const trace = "0af7651916cd43dd8448eb211c80319c"
const headers = { "x-request-id": "request-1", traceparent: `00-${trace}-b7ad6b7169203331-01` }

/** The annotations of one line that is logged in the effect's context. */
const annotationsOf = (withRequest: (line: Effect.Effect<void>) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const lines: Array<object> = []
    const logger = prepared(Logger.map(Logger.structuredLogger, ({ annotations }) => lines.push(annotations)))
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

  it.effect(
    "escapes foreign text in its message, its annotations and its cause, and prints no other field of an error",
    () =>
      Effect.gen(function* () {
        const hostile = "a\u009b2J\u202eb\u001b[2J"
        const refused = Object.assign(new Error(`duplicate ${hostile}`), { detail: "Failing row contains (4711)" })
        const lines: Array<string> = []
        for (const logger of [Logger.jsonLogger, Logger.logfmtLogger, Logger.stringLogger]) {
          const line = Effect.annotateLogs(
            Effect.logError(hostile, { hostile }, refused, Cause.die(refused)),
            "name",
            hostile
          )
          const sink = Logger.replace(Logger.defaultLogger, prepared(Logger.map(logger, (text) => lines.push(text))))
          yield* Effect.provide(line, sink)
        }
        expect(lines.length).toBe(3)
        for (const line of lines) {
          expect(line).not.toMatch(/[^\P{Cc}\n\t]|[\p{Cf}\p{Zl}\p{Zp}]/u)
          expect(line).not.toContain("4711")
          expect(line).toContain("u{202e}")
        }
      })
  )
})
