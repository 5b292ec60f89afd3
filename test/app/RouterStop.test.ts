import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { rowsOf } from "../support/Gravitas.ts"
import { messages, rowsOfAborted, startedBefore } from "../support/RouterUpstream.ts"
import { delta, events } from "../support/router/Upstream.ts"

describe("the router's end", () => {
  it.scopedLive(
    "a stream that runs at shutdown is finished, recorded and written to the history",
    () =>
      Effect.gen(function* () {
        const { client, databaseUrl, guardian, running } = yield* startedBefore(() => {}, {
          shells: "  slow: { tier: L1, provider: echo, model: echo-slow }\n"
        })
        const text = Effect.promise(async () => {
          const stream = await client.chat.completions.create(
            { model: "slow", messages: [{ role: "user", content: "a b c d e" }], stream: true },
            { headers: { "x-request-id": "ending-1" } }
          )
          let said = ""
          for await (const piece of stream) said += piece.choices[0]?.delta.content ?? ""
          return said
        })
        const reading = yield* Effect.fork(text)
        yield* Effect.sleep("400 millis")
        yield* running.signal("SIGTERM")
        expect(yield* Fiber.join(reading)).toBe("a b c d e")
        expect(yield* running.ended()).toMatchObject({ code: 0 })
        const rows = yield* rowsOf(
          databaseUrl,
          "select action from gatekeeper.audit_log where request_id = 'ending-1' order by seq"
        )
        expect(rows.map(({ action }) => action)).toEqual(["execute", "route", "route.completed"])
        const history = yield* rowsOf(databaseUrl, "select outcome from router.history where request_id = 'ending-1'")
        expect(history.map(({ outcome }) => outcome)).toEqual(["completed", "completed"])
        expect(guardian.open()).toEqual([])
      }).pipe(Effect.timeout(Duration.seconds(60))),
    90_000
  )

  it.scopedLive(
    "an answer that outlasts the shutdown is cut off, and recorded as that",
    () =>
      Effect.gen(function* () {
        const { client, databaseUrl, guardian, running, server } = yield* startedBefore(
          (_, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" })
            response.write(events(delta("a")))
          },
          { environment: { SHUTDOWN_DEADLINE: "5s" } }
        )
        const reading = client.chat.completions
          .create({ model: "real", messages, stream: true }, { headers: { "x-request-id": "cut-1" } })
          .then(async (stream) => {
            for await (const _ of stream);
          })
          .then(
            () => "whole",
            () => "cut"
          )
        while (server.requests.length === 0) yield* Effect.sleep("10 millis")
        yield* Effect.sleep("200 millis")
        yield* running.signal("SIGTERM")
        expect(yield* Effect.promise(() => reading)).toBe("cut")
        expect(yield* running.ended()).toMatchObject({ code: 0 })
        const rows = yield* rowsOfAborted(databaseUrl, "cut-1")
        expect(rows.map(({ action }) => action)).toEqual(["execute", "route", "route.aborted"])
        expect(rows[2]).toMatchObject({
          reason: "the router stopped before the answer was complete",
          metadata: { closed_by: "shutdown" }
        })
        expect(server.hangUps()).toBe(1)
        expect(guardian.open()).toEqual([])
        expect(running.output()).not.toContain("was not ended")
      }).pipe(Effect.timeout("60 seconds")),
    90_000
  )
})
