import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { clientOf, historyOf, RouterProgram, trailOf } from "../support/RouterProgram.ts"
import { echoModels, user } from "../support/RouterQuestions.ts"

layer(RouterProgram.layer({ models: echoModels, environment: { ROUTER_STORE_CONTENT: "true" } }), {
  timeout: "90 seconds",
  excludeTestServices: true
})("POST /v1/chat/completions", (it) => {
  it.effect("completes for the official client, and every hop is in the trail under one request id", () =>
    Effect.gen(function* () {
      const client = yield* clientOf("Scout")
      const { guardian } = yield* RouterProgram
      const { data, response } = yield* Effect.promise(() =>
        client.chat.completions
          .create(
            { model: "echo", messages: [{ role: "system", content: "be brief" }, ...user("to be or not")] },
            { headers: { "x-request-id": "completes-1" } }
          )
          .withResponse()
      )
      expect(data).toMatchObject({
        id: "chatcmpl-completes-1",
        object: "chat.completion",
        model: "echo",
        choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: "to be or not" } }],
        usage: { prompt_tokens: 6, completion_tokens: 4, total_tokens: 10 }
      })
      expect(response.headers.get("x-request-id")).toBe("completes-1")
      const rows = yield* trailOf("completes-1", (actions) => actions.includes("route.completed"))
      expect(rows.map(({ action, resource, result, ghost_id }) => [action, resource, result, ghost_id])).toEqual([
        ["execute", "shells/l1/echo", "ALLOWED", "Scout"],
        ["route", "shells/l1/echo", "ALLOWED", "Scout"],
        ["route.completed", "shells/l1/echo", "ALLOWED", "Scout"]
      ])
      expect(rows[1]?.["id"]).toBe(response.headers.get("x-audit-id"))
      expect(rows[2]?.["metadata"]).toMatchObject({ prompt_tokens: 6, completion_tokens: 4, finish_reason: "stop" })
      expect(JSON.stringify(rows)).not.toContain("to be or not")
      const calls = guardian.calls.filter(({ requestId }) => requestId === "completes-1")
      expect(calls.map(({ path }) => path)).toEqual(["/validate", "/session/start", "/session/end"])
      expect(calls[1]?.body["session_id"]).toMatch(/^completes-1\.[0-9a-f]{12}$/)
      expect(guardian.open()).toEqual([])
      const history = yield* historyOf("completes-1", 3)
      expect(history.map(({ role, content }) => [role, content])).toEqual([
        ["system", "be brief"],
        ["user", "to be or not"],
        ["assistant", "to be or not"]
      ])
      expect(history[2]).toMatchObject({
        ghost_id: "Scout",
        shell_id: "echo",
        requested_model: "echo",
        tier: "L1",
        provider: "echo",
        outcome: "completed",
        finish_reason: "stop",
        prompt_tokens: 6,
        completion_tokens: 4
      })
    })
  )

  it.effect("streams for the official client, with the usage where it is asked for", () =>
    Effect.gen(function* () {
      const client = yield* clientOf("Scout")
      const pieces = yield* Effect.promise(async () => {
        const stream = await client.chat.completions.create(
          { model: "echo", messages: user("to be or"), stream: true, stream_options: { include_usage: true } },
          { headers: { "x-request-id": "streams-1" } }
        )
        const found = []
        for await (const piece of stream) found.push(piece)
        return found
      })
      expect(pieces.map(({ choices }) => choices[0]?.delta.content ?? "")).toEqual(["", "to", " be", " or", "", ""])
      expect(pieces.every(({ model, object }) => model === "echo" && object === "chat.completion.chunk")).toBe(true)
      expect(pieces.at(-1)?.usage).toMatchObject({ completion_tokens: 3 })
      const rows = yield* trailOf("streams-1", (actions) => actions.includes("route.completed"))
      expect(rows.map(({ action }) => action)).toEqual(["execute", "route", "route.completed"])
      expect((yield* historyOf("streams-1", 2)).at(-1)).toMatchObject({ content: "to be or", outcome: "completed" })
    })
  )

  it.effect("a stream ends with [DONE], and has the usage only where the client asks for it", () =>
    Effect.gen(function* () {
      const { router } = yield* RouterProgram
      const client = yield* clientOf("Scout")
      const text = yield* Effect.promise(async () => {
        const response = await fetch(`${router}/v1/chat/completions`, {
          method: "POST",
          headers: { authorization: `Bearer ${client.apiKey}` },
          body: JSON.stringify({ model: "echo", messages: user("a b"), stream: true })
        })
        expect(response.headers.get("content-type")).toContain("text/event-stream")
        expect(response.headers.get("x-audit-id")).toMatch(/^[0-9a-f-]{36}$/)
        return response.text()
      })
      expect(text.endsWith("data: [DONE]\n\n")).toBe(true)
      expect(text).not.toContain("usage")
    })
  )

  it.effect("max_tokens is honoured (fault 12)", () =>
    Effect.gen(function* () {
      const client = yield* clientOf("Scout")
      const { choices } = yield* Effect.promise(() =>
        client.chat.completions.create({ model: "echo", messages: user("a b c d"), max_tokens: 2 })
      )
      expect(choices[0]).toMatchObject({ finish_reason: "length", message: { content: "a b" } })
    })
  )

  it.effect(
    "the router falls back to the next shell before the first byte, authorises each, and names the one that answered",
    () =>
      Effect.gen(function* () {
        const client = yield* clientOf("Librarian")
        for (const stream of [false, true]) {
          const id = `fallback-${stream}`
          const headers = { "x-request-id": id }
          const model = yield* Effect.promise(async () => {
            const messages = user("hello there")
            if (!stream)
              return (await client.chat.completions.create({ model: "Librarian", messages }, { headers })).model
            const pieces = await client.chat.completions.create({ model: "Librarian", messages, stream }, { headers })
            let found = ""
            for await (const piece of pieces) found = piece.model
            return found
          })
          expect(model).toBe("vendor/great")
          const rows = yield* trailOf(id, (actions) => actions.includes("route.completed"))
          expect(rows.map(({ action, resource, result }) => [action, resource, result])).toEqual([
            ["execute", "shells/l1/fails-before", "ALLOWED"],
            ["execute", "shells/l3/vendor%2Fgreat", "ALLOWED"],
            ["route.fallback", "shells/l1/fails-before", "DENIED"],
            ["route", "shells/l3/vendor%2Fgreat", "ALLOWED"],
            ["route.completed", "shells/l3/vendor%2Fgreat", "ALLOWED"]
          ])
          expect(rows[4]?.["metadata"]).toMatchObject({
            tried: [expect.stringMatching(/^fails-before: provider failing/)]
          })
        }
      })
  )

  it.effect("a shell that the caller may not use is skipped (fault 8)", () =>
    Effect.gen(function* () {
      const client = yield* clientOf("Scout")
      const { data, response } = yield* Effect.promise(() =>
        client.chat.completions.create({ model: "Scout", messages: user("hi") }).withResponse()
      )
      expect(data.model).toBe("echo")
      const rows = yield* trailOf(response.headers.get("x-request-id") ?? "", (actions) => actions.includes("route"))
      expect(rows.slice(0, 2).map(({ resource, result }) => [resource, result])).toEqual([
        ["shells/l3/vendor%2Fgreat", "DENIED"],
        ["shells/l1/echo", "ALLOWED"]
      ])
    })
  )

  it.effect("chooses the tier by complexity and force_tier, as the old system did", () =>
    Effect.gen(function* () {
      const client = yield* clientOf("Librarian")
      const ask = (fields: object) =>
        Effect.promise(() =>
          client.chat.completions.create({ model: "auto", messages: user("hi"), ...fields }).then(({ model }) => model)
        )
      expect(yield* ask({})).toBe("echo")
      expect(yield* ask({ complexity: 9 })).toBe("vendor/great")
      expect(yield* ask({ force_tier: "L3", priority: 1 })).toBe("vendor/great")
    })
  )
})
