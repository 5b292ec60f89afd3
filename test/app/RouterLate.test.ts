import * as Net from "node:net"
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { RouterProgram, trailOf } from "../support/RouterProgram.ts"
import { echoModels } from "../support/RouterQuestions.ts"

/** All that a server says to bytes that are never completed, until it closes the connection. */
const answerTo = (url: string, text: string) =>
  Effect.async<string>((resume) => {
    let answer = ""
    const socket = Net.connect(Number(new URL(url).port), "127.0.0.1", () => socket.write(text))
    socket.setEncoding("utf8").on("data", (piece) => {
      answer += piece
    })
    socket.on("error", () => {}).on("close", () => resume(Effect.succeed(answer)))
    return Effect.sync(() => socket.destroy())
  })

layer(RouterProgram.layer({ models: echoModels, environment: { HTTP_REQUEST_TIMEOUT: "1s" } }), {
  timeout: "90 seconds",
  excludeTestServices: true
})("a request that does not arrive in time", (it) => {
  it.effect("a request that arrives too slowly is answered 408, and not recorded as a client that hung up", () =>
    Effect.gen(function* () {
      const { router } = yield* RouterProgram
      const head =
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\nx-request-id: late-1\r\n\r\n{"
      const answer = yield* Effect.timeout(answerTo(router, head), "20 seconds")
      expect(answer).toContain("HTTP/1.1 408 ")
      const rows = yield* trailOf("late-1", (actions) => actions.length > 0)
      expect(rows).toMatchObject([
        {
          action: "route.aborted",
          result: "DENIED",
          reason: "the request did not arrive in time",
          metadata: { closed_by: "timeout" }
        }
      ])
    })
  )
})
