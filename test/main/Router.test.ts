import { describe, expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import OpenAI from "openai"
import { clientOf, historyOf, RouterProgram, trailOf } from "../support/RouterProgram.ts"

const models = `
providers:
  echo: { kind: echo, timeouts: { first_byte: 300ms, idle: 300ms, total: 2s } }
  slow: { kind: echo }
  busy: { kind: echo }
  failing: { kind: echo }
  keyless: { kind: openai-compatible, base_url: "http://127.0.0.1:9/v1", api_key_env: NO_SUCH_KEY }
shells:
  echo: { tier: L1, provider: echo }
  echo-slow: { tier: L1, provider: slow }
  fails-before: { tier: L1, provider: failing, model: echo-fails-before }
  fails-after: { tier: L1, provider: echo, model: echo-fails-after }
  hangs: { tier: L1, provider: echo, model: echo-hangs }
  busy: { tier: L1, provider: busy, model: echo-busy }
  keyless: { tier: L1, provider: keyless }
  "vendor/great": { tier: L3, provider: echo, model: echo }
ghosts:
  Librarian: { preferred_shell: fails-before, fallback_shells: [vendor/great, echo] }
  Scout: { preferred_shell: vendor/great, fallback_shells: [echo] }
`

const user = (content: string) => [{ role: "user" as const, content }]

const failing = (call: () => PromiseLike<unknown>) =>
  Effect.promise(async () => {
    try {
      await call()
    } catch (error) {
      if (error instanceof OpenAI.APIError) return error
      throw error
    }
    throw new Error("it did not fail")
  })

const requestIdOf = (error: InstanceType<typeof OpenAI.APIError>) => error.headers?.get("x-request-id") ?? ""

const running = RouterProgram.layer({ models, environment: { ROUTER_STORE_CONTENT: "true" } })

layer(running, { timeout: "90 seconds", excludeTestServices: true })("POST /v1/chat/completions", (it) => {
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

  it.effect("ends a stream with [DONE], and keeps the usage to itself where nobody asked", () =>
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

  it.effect("honours max_tokens (fault 12)", () =>
    Effect.gen(function* () {
      const client = yield* clientOf("Scout")
      const { choices } = yield* Effect.promise(() =>
        client.chat.completions.create({ model: "echo", messages: user("a b c d"), max_tokens: 2 })
      )
      expect(choices[0]).toMatchObject({ finish_reason: "length", message: { content: "a b" } })
    })
  )

  it.effect(
    "falls back to the next shell before the first byte, each authorised anew, and names the one that answered",
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
        }
      })
  )

  it.effect("goes past a shell that the caller may not use (fault 8)", () =>
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

  describe("errors, as the official client reads them", () => {
    const cases = [
      ["no model of that name", { model: "gpt-9" }, OpenAI.NotFoundError, 404, "model_not_found", "INVALID"],
      [
        "no shell of that tier",
        { model: "auto", force_tier: "L2" },
        OpenAI.NotFoundError,
        404,
        "model_not_found",
        "INVALID"
      ],
      [
        "a shell of another tier",
        { model: "echo", force_tier: "L3" },
        OpenAI.BadRequestError,
        400,
        "invalid_request",
        "INVALID"
      ],
      [
        "a way out of the tier",
        { model: "../l3/vendor%2Fgreat" },
        OpenAI.NotFoundError,
        404,
        "model_not_found",
        "INVALID"
      ],
      ["no messages", { model: "echo", messages: [] }, OpenAI.BadRequestError, 400, "invalid_request", "INVALID"],
      [
        "a shell that the policy does not give",
        { model: "vendor/great" },
        OpenAI.PermissionDeniedError,
        403,
        "access_denied",
        "DENIED"
      ],
      [
        "a provider that fails",
        { model: "fails-before" },
        OpenAI.InternalServerError,
        502,
        "provider_failed",
        "DENIED"
      ],
      [
        "a provider that does not begin",
        { model: "hangs" },
        OpenAI.InternalServerError,
        504,
        "provider_timeout",
        "DENIED"
      ],
      ["a provider that is busy", { model: "busy" }, OpenAI.RateLimitError, 429, "rate_limited", "DENIED"],
      [
        "a provider without key",
        { model: "keyless" },
        OpenAI.InternalServerError,
        503,
        "provider_unavailable",
        "DENIED"
      ]
    ] as const
    for (const [what, fields, kind, status, code, result] of cases) {
      it.effect(`${what}: ${status} ${code}, with its row`, () =>
        Effect.gen(function* () {
          const client = yield* clientOf("Scout")
          const body = { messages: user("secret words"), stream: true as const, ...fields }
          const error = yield* failing(() => client.chat.completions.create({ ...body, messages: [...body.messages] }))
          expect(error).toBeInstanceOf(kind)
          expect(error).toMatchObject({ status, code })
          expect(error.error).toMatchObject({ code, request_id: requestIdOf(error) })
          const auditId = error.headers?.get("x-audit-id")
          const rows = yield* trailOf(requestIdOf(error), (_, ids) => ids.includes(auditId))
          expect(rows.find(({ id }) => id === auditId)).toMatchObject({ result })
          expect(JSON.stringify(rows)).not.toContain("secret words")
        })
      )
    }

    it.effect("no token, or one that is none: 401, before anything else is told", () =>
      Effect.gen(function* () {
        const { router } = yield* RouterProgram
        const client = new OpenAI({ baseURL: `${router}/v1`, apiKey: "garbage", maxRetries: 0 })
        for (const body of [
          { model: "echo", messages: user("hi") },
          { model: "gpt-9", messages: user("hi") },
          { model: "echo", messages: [] }
        ]) {
          const error = yield* failing(() => client.chat.completions.create(body))
          expect(error).toBeInstanceOf(OpenAI.AuthenticationError)
          expect(error.headers?.get("www-authenticate")).toContain("Bearer")
          const rows = yield* trailOf(requestIdOf(error), (actions) => actions.length > 0)
          expect(rows.map(({ result }) => result)).toEqual(["UNAUTHENTICATED"])
        }
      })
    )

    it.effect("a body that is not JSON, and one that is too large", () =>
      Effect.gen(function* () {
        const { router } = yield* RouterProgram
        const { apiKey } = yield* clientOf("Scout")
        const send = (body: string) =>
          Effect.promise(async () => {
            const headers = { authorization: `Bearer ${apiKey}` }
            const response = await fetch(`${router}/v1/chat/completions`, { method: "POST", headers, body })
            return { status: response.status, body: (await response.json()) as Record<string, unknown> }
          })
        expect(yield* send("{")).toMatchObject({ status: 400, body: { error: { type: "invalid_request_error" } } })
        const large = yield* send(JSON.stringify({ model: "echo", messages: user("x".repeat(1_100_000)) }))
        expect(large).toMatchObject({ status: 413, body: { error: { code: "body_too_large" } } })
        const deep = yield* send(`{"model":"echo","messages":${"[".repeat(400_000)}${"]".repeat(400_000)}}`)
        expect(deep).toMatchObject({ status: 400, body: { error: { code: "invalid_request" } } })
      })
    )
  })

  it.effect("tells a failure in the middle of a stream as an event, and does not fall back", () =>
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

  it.effect("records a client that hangs up as that, and ends its session", () =>
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
      expect((yield* historyOf("aborts-1", 2)).at(-1)).toMatchObject({ outcome: "aborted" })
      expect(guardian.open()).toEqual([])
    })
  )

  describe("the guardian", () => {
    for (const [verdict, status, code] of [
      ["not_certified", 403, "not_certified"],
      ["session_exists", 403, "session_refused"],
      ["away", 503, "peer_unavailable"]
    ] as const) {
      it.effect(`${verdict}: ${status}, recorded, and no shell is asked`, () =>
        Effect.gen(function* () {
          const { guardian } = yield* RouterProgram
          const client = yield* clientOf("Scout")
          guardian.say(verdict)
          const error = yield* failing(() =>
            client.chat.completions.create({ model: "echo", messages: user("hi") })
          ).pipe(Effect.ensuring(Effect.sync(() => guardian.say("certified"))))
          expect(error).toMatchObject({ status, code })
          const rows = yield* trailOf(requestIdOf(error), (actions) => actions.length >= 2)
          expect(rows.map(({ action, result }) => [action, result])).toEqual([
            ["execute", "ALLOWED"],
            ["route", "DENIED"]
          ])
        })
      )
    }
  })
})
