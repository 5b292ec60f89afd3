import type { ServerResponse } from "node:http"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { messages, startedBefore } from "../support/RouterUpstream.ts"
import { answering, completion, delta, events, streaming } from "../support/router/Upstream.ts"

describe("the cool-down of a provider", () => {
  it.scopedLive(
    "opens for a provider that breaks each of its streams, and not for one that lacks a model",
    () =>
      Effect.gen(function* () {
        const { client, server } = yield* startedBefore(
          (request, response) =>
            request.body["model"] === "nowhere"
              ? answering(404, "no such model")(request, response)
              : request.body["stream"] === true
                ? streaming(events(delta("a")))(request, response)
                : answering(200, completion("hello"))(request, response),
          { shells: "  missing: { tier: L1, provider: up, model: nowhere }\n" }
        )
        const ask = (model: string, stream: boolean) =>
          Effect.promise(async () => {
            try {
              const answer = await client.chat.completions.create({ model, messages, stream })
              if ("choices" in answer) return answer.choices[0]?.message.content
              for await (const _ of answer);
              return "whole"
            } catch (error) {
              return error instanceof Error && "code" in error ? error.code : error
            }
          })
        for (let i = 0; i < 4; i++) expect(yield* ask("missing", false)).toBe("provider_misconfigured")
        expect(yield* ask("real", false)).toBe("hello")
        for (let i = 0; i < 3; i++) expect(yield* ask("real", true)).toBe("provider_failed")
        expect(yield* ask("real", true)).toBe("provider_unavailable")
        expect(server.requests).toHaveLength(8)
      }),
    90_000
  )

  it.scopedLive(
    "sends one probe, whatever the outcome of earlier requests, and the next when its client leaves",
    () =>
      Effect.gen(function* () {
        const held: Array<ServerResponse> = []
        let holding = true
        const { apiKey, router, server } = yield* startedBefore((request, response) => {
          if (holding) held.push(response)
          else answering(500, "down")(request, response)
        })
        const ask = (signal?: AbortSignal) =>
          fetch(`${router}/v1/chat/completions`, {
            method: "POST",
            headers: { authorization: `Bearer ${apiKey}` },
            body: JSON.stringify({ model: "real", messages }),
            ...(signal === undefined ? {} : { signal })
          }).then(
            ({ status }) => status,
            () => "left"
          )
        const early = new AbortController()
        const first = ask(early.signal)
        while (held.length < 1) yield* Effect.sleep("10 millis")
        holding = false
        for (let i = 0; i < 3; i++) expect(yield* Effect.promise(() => ask())).toBe(502)
        yield* Effect.sleep("2100 millis")
        holding = true
        const leaving = new AbortController()
        const probe = ask(leaving.signal)
        while (held.length < 2) yield* Effect.sleep("10 millis")
        early.abort()
        expect(yield* Effect.promise(() => first)).toBe("left")
        while (server.hangUps() < 1) yield* Effect.sleep("10 millis")
        yield* Effect.sleep("100 millis")
        expect(yield* Effect.promise(() => Promise.all([ask(), ask()]))).toEqual([503, 503])
        expect(held).toHaveLength(2)
        leaving.abort()
        expect(yield* Effect.promise(() => probe)).toBe("left")
        while (server.hangUps() < 2) yield* Effect.sleep("10 millis")
        yield* Effect.sleep("100 millis")
        const next = ask()
        while (held.length < 3) yield* Effect.sleep("10 millis")
        expect(yield* Effect.promise(() => ask())).toBe(503)
        held[2]?.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(completion("hello")))
        expect(yield* Effect.promise(() => next)).toBe(200)
      }).pipe(Effect.timeout("60 seconds")),
    90_000
  )
})
