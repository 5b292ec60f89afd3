import * as Http from "node:http"
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { clientOf, historyOf, RouterProgram, trailOf } from "../support/RouterProgram.ts"
import { echoModels, failing, user } from "../support/RouterQuestions.ts"

layer(RouterProgram.layer({ models: echoModels, environment: { ROUTER_STORE_CONTENT: "true" } }), {
  timeout: "90 seconds",
  excludeTestServices: true
})("how an answer ends", (it) => {
  it.effect("a failure in the middle of a stream is an error event, without fallback", () =>
    Effect.gen(function* () {
      const client = yield* clientOf("Scout")
      const heard: Array<string> = []
      const error = yield* failing(async () => {
        const stream = await client.chat.completions.create(
          { model: "fails-after", messages: user("a b c d"), stream: true },
          { headers: { "x-request-id": "middle-1" } }
        )
        for await (const piece of stream) heard.push(piece.choices[0]?.delta.content ?? "")
      })
      expect(heard.join("")).toBe("a b")
      expect(error.error).toMatchObject({ code: "provider_failed", request_id: "middle-1" })
      const rows = yield* trailOf("middle-1", (actions) => actions.includes("route.failed"))
      expect(rows.map(({ action }) => action)).toEqual(["execute", "route", "route.failed"])
      expect((yield* historyOf("middle-1", 2)).at(-1)).toMatchObject({ content: "a b", outcome: "failed" })
    })
  )

  it.effect("a client that hangs up is recorded as that, and its session is ended", () =>
    Effect.gen(function* () {
      const client = yield* clientOf("Scout")
      const { guardian } = yield* RouterProgram
      const heard = yield* Effect.promise(async () => {
        const stream = await client.chat.completions.create(
          { model: "echo-slow", messages: user("a b c d e f g h"), stream: true },
          { headers: { "x-request-id": "aborts-1" } }
        )
        let text = ""
        for await (const piece of stream) {
          text += piece.choices[0]?.delta.content ?? ""
          if (text === "a b") break
        }
        return text
      })
      expect(heard).toBe("a b")
      const rows = yield* trailOf("aborts-1", (actions) => actions.includes("route.aborted"))
      expect(rows.map(({ action }) => action)).toEqual(["execute", "route", "route.aborted"])
      expect(rows[2]).toMatchObject({ reason: "the client hung up", metadata: { closed_by: "client" } })
      expect((yield* historyOf("aborts-1", 2)).at(-1)).toMatchObject({ outcome: "aborted" })
      expect(guardian.open()).toEqual([])
    })
  )

  it.effect("a client that leaves before anything was allowed is recorded as DENIED", () =>
    Effect.gen(function* () {
      const { router } = yield* RouterProgram
      const request = Http.request(`${router}/v1/chat/completions`, {
        method: "POST",
        headers: { "x-request-id": "early-1", "content-length": 100 }
      })
      request.on("error", () => {})
      request.write("{")
      yield* Effect.sleep("200 millis")
      request.destroy()
      const rows = yield* trailOf("early-1", (actions) => actions.length > 0)
      expect(rows).toMatchObject([{ action: "route.aborted", result: "DENIED", ghost_id: null, resource: null }])
    })
  )
})
