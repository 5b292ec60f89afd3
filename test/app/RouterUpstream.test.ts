import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { rowsOf } from "../support/Gravitas.ts"
import { messages, startedBefore, upstreamSecret } from "../support/RouterUpstream.ts"
import { answering, completion, delta, events } from "../support/router/Upstream.ts"

describe("the router before a provider", () => {
  it.scopedLive(
    "a client that hangs up ends the call at the provider, streamed or not, and is recorded",
    () =>
      Effect.gen(function* () {
        const { apiKey, databaseUrl, guardian, router, server } = yield* startedBefore((request, response) => {
          if (request.body["stream"] !== true) return
          response.writeHead(200, { "content-type": "text/event-stream" })
          response.write(events(delta("a")))
        })
        for (const [i, stream] of [true, false].entries()) {
          const controller = new AbortController()
          const asked = fetch(`${router}/v1/chat/completions`, {
            method: "POST",
            headers: { authorization: `Bearer ${apiKey}`, "x-request-id": `gone-${stream}` },
            body: JSON.stringify({ model: "real", messages, stream }),
            signal: controller.signal
          }).then(
            (response) => response.body?.getReader().read(),
            () => undefined
          )
          while (server.requests.length <= i) yield* Effect.sleep("10 millis")
          if (stream) yield* Effect.promise(() => asked)
          yield* Effect.sleep("50 millis")
          controller.abort()
          while (server.hangUps() <= i) yield* Effect.sleep("10 millis")
          const read = rowsOf(
            databaseUrl,
            "select action from gatekeeper.audit_log where request_id = $1 order by seq",
            [`gone-${stream}`]
          )
          while ((yield* read).at(-1)?.["action"] !== "route.aborted") yield* Effect.sleep("20 millis")
          expect((yield* read).map(({ action }) => action)).toEqual(
            stream ? ["execute", "route", "route.aborted"] : ["execute", "route.aborted"]
          )
          while (guardian.open().length > 0) yield* Effect.sleep("10 millis")
        }
      }).pipe(Effect.timeout("60 seconds")),
    90_000
  )

  it.scopedLive(
    "a shell that keeps failing is left alone, then tried with one request; neither its words nor its key are shown",
    () =>
      Effect.gen(function* () {
        let isWell = false
        const { client, running, server } = yield* startedBefore((request, response) => {
          const script = isWell ? answering(200, completion("hello")) : answering(500, `it leaked ${upstreamSecret}`)
          script(request, response)
        })
        const ask = Effect.promise(() =>
          client.chat.completions.create({ model: "real", messages }).then(
            ({ choices }) => choices[0]?.message.content,
            (error) => {
              expect(JSON.stringify(error.error)).not.toContain("leaked")
              return error.status
            }
          )
        )
        for (let i = 0; i < 3; i++) expect(yield* ask).toBe(502)
        expect(yield* ask).toBe(503)
        expect(yield* ask).toBe(503)
        expect(server.requests).toHaveLength(3)
        isWell = true
        yield* Effect.sleep("2100 millis")
        expect(yield* ask).toBe("hello")
        expect(server.requests).toHaveLength(4)
        expect(running.output()).toContain("is left alone for 2 s")
        expect(running.output()).toContain("Provider up answers again for the shell real")
        expect(running.output()).not.toContain(upstreamSecret)
        expect(running.output()).not.toContain("leaked")
      }),
    90_000
  )
})
