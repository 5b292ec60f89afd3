import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Shell } from "../../../src/router/models/Catalog.ts"
import { makeOpenAiProvider } from "../../../src/router/providers/OpenAiProvider.ts"
import type { GuardedShell } from "../../../src/router/providers/Providers.ts"
import { attempt } from "../../../src/router/route/Attempt.ts"
import { callOf } from "../../support/router/Calls.ts"
import { specOf } from "../../support/router/OpenAi.ts"
import { delta, events, type Script, upstream } from "../../support/router/Upstream.ts"

/** The outcomes that the metric has of a shell's calls, with their counts. */
const outcomesOf = (shell: string) =>
  Effect.map(Metric.snapshot, (pairs) =>
    pairs.flatMap(({ metricKey: { name, tags }, metricState }) => {
      const labels = new Map(tags.map(({ key, value }) => [key, value]))
      if (name !== "router_provider_calls" || labels.get("shell") !== shell) return []
      return "count" in metricState ? [[labels.get("outcome"), metricState.count]] : []
    })
  )

const begun = (name: string, script: Script) =>
  Effect.gen(function* () {
    const spec = specOf((yield* upstream(script)).baseUrl)
    const provider = yield* makeOpenAiProvider(spec, Option.none())
    const guarded: GuardedShell = {
      spec,
      enter: Effect.succeed({ provider, settle: () => Effect.void }),
      trouble: Effect.succeed(undefined)
    }
    const shell: Shell = { name, tier: "L1", provider: "p", upstreamModel: name }
    const scope = yield* Scope.make()
    const { request } = callOf("hi", { stream: true })
    const answer = yield* Scope.extend(attempt(guarded, shell, request), scope)
    if (answer._tag !== "Streamed") return yield* Effect.dieMessage("the answer is not a stream")
    return { answer, leave: Scope.close(scope, Exit.void) }
  })

describe("the metric of calls", () => {
  it.scopedLive("a stream whose client leaves in its middle is abandoned", () =>
    Effect.gen(function* () {
      const { leave } = yield* begun("left", (_, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" })
        response.write(events(delta("a")))
      })
      expect(yield* outcomesOf("left")).toEqual([])
      yield* leave
      expect(yield* outcomesOf("left")).toEqual([["abandoned", 1]])
    })
  )

  it.scopedLive("a stream that was read to its end is answered, and is not counted again when its scope ends", () =>
    Effect.gen(function* () {
      const { answer, leave } = yield* begun("read", (_, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" })
        response.end(events(delta("a"), delta("", "stop"), "[DONE]"))
      })
      yield* Stream.runDrain(answer.rest)
      yield* answer.ended()
      yield* leave
      expect(yield* outcomesOf("read")).toEqual([["answered", 1]])
    })
  )
})
