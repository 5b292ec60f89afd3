import * as Http from "node:http"
import { describe, expect, layer } from "@effect/vitest"
import * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import OpenAI from "openai"
import { clientOf, RouterProgram, trailOf } from "../support/RouterProgram.ts"
import { echoModels, failing, requestIdOf, user } from "../support/RouterQuestions.ts"

/** Of a question with these headers and no others: `fetch` has more of its own. */
const statusOf = (url: string, headers: Http.OutgoingHttpHeaders) =>
  Effect.async<number | undefined>((resume) => {
    Http.get(url, { headers, agent: false }, (response) => {
      response.resume()
      resume(Effect.succeed(response.statusCode))
    }).on("error", (error) => resume(Effect.die(error)))
  })

layer(RouterProgram.layer({ models: echoModels, environment: { ROUTER_MAX_BODY_BYTES: "1048576" } }), {
  timeout: "90 seconds",
  excludeTestServices: true
})("what the router refuses", (it) => {
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

    it.effect("no token, or an invalid one: 401, before any other answer", () =>
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

    it.effect("a path or a method that it does not have, with the fields of its other errors", () =>
      Effect.gen(function* () {
        const client = yield* clientOf("Scout")
        const error = yield* failing(() => client.embeddings.create({ model: "echo", input: "hi" }))
        expect(error).toBeInstanceOf(OpenAI.NotFoundError)
        expect(error).toMatchObject({ code: "not_found", type: "invalid_request_error", param: null })
        expect(yield* failing(() => client.get("/chat/completions"))).toMatchObject({
          status: 405,
          code: "method_not_allowed",
          type: "invalid_request_error",
          param: null
        })
      })
    )

    it.effect("a token as long as a header may be: 401, recorded, and other callers are still served", () =>
      Effect.gen(function* () {
        const { router } = yield* RouterProgram
        const client = yield* clientOf("Scout")
        const long = { authorization: `Bearer ${"x".repeat(32_600)}`, "x-request-id": "long-token" }
        const statuses = yield* Effect.all(Array.makeBy(6, () => statusOf(`${router}/v1/models`, long)))
        expect(new Set(statuses)).toEqual(new Set([401]))
        const rows = yield* trailOf("long-token", (actions) => actions.length >= 6)
        expect(new Set(rows.map(({ result }) => result))).toEqual(new Set(["UNAUTHENTICATED"]))
        const { model } = yield* Effect.promise(() =>
          client.chat.completions.create({ model: "echo", messages: user("hi") })
        )
        expect(model).toBe("echo")
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
