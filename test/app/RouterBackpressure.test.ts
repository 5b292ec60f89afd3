import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { memoryOf, messages, pausedReader, rowsOfAborted, startedBefore } from "../support/RouterUpstream.ts"
import { answering, completion, delta, events } from "../support/router/Upstream.ts"

describe("a client that reads slowly", () => {
  it.scopedLive(
    "a slow client slows the provider down; the router does not buffer the answer",
    () =>
      Effect.gen(function* () {
        const size = 200 * 1024 * 1024
        const piece = events(delta("x".repeat(16 * 1024)))
        let sent = 0
        const { apiKey, router, running } = yield* startedBefore((_, response) => {
          response.writeHead(200, { "content-type": "text/event-stream" })
          const send = () => {
            while (sent < size) {
              sent += piece.length
              if (!response.write(piece)) return void response.once("drain", send)
            }
            response.end(events(delta("", "stop"), "[DONE]"))
          }
          send()
        })
        const reader = yield* pausedReader(router, apiKey, { model: "real", messages, stream: true })
        const start = yield* memoryOf(running.pid)
        // What sockets and buffers on the way hold is sent; nothing more after that.
        let early = -1
        while (sent === 0 || sent > early) {
          early = sent
          yield* Effect.sleep("1500 millis")
        }
        expect(sent).toBeLessThan(40 * 1024 * 1024)
        expect((yield* memoryOf(running.pid)) - start).toBeLessThan(100 * 1024 * 1024)
        reader.resume()
        yield* Effect.sleep("500 millis")
        expect(sent).toBeGreaterThan(early)
        reader.destroy()
      }),
    90_000
  )

  it.scopedLive(
    "a long echo that is not read yet is not buffered, and is complete for a client that reads late",
    () =>
      Effect.gen(function* () {
        const { apiKey, router, running } = yield* startedBefore(() => {})
        const start = yield* memoryOf(running.pid)
        const ask = (words: number) =>
          pausedReader(router, apiKey, { model: "endless", messages, max_tokens: words, stream: true })
        // Two gigabytes of events, if they were buffered.
        const unread = yield* ask(10_000_000)
        // Sockets are filled first, and what was made for them becomes garbage.
        let [before, now] = [0, start]
        while (now > before + 1024 * 1024) {
          yield* Effect.sleep("2 seconds")
          ;[before, now] = [now, yield* memoryOf(running.pid)]
          expect(now - start).toBeLessThan(200 * 1024 * 1024)
        }
        unread.destroy()
        const words = 30_000
        const reader = yield* ask(words)
        yield* Effect.sleep("500 millis")
        let count = 0
        let tail = ""
        const whole = yield* Effect.promise(
          () =>
            new Promise<string>((resolve) => {
              reader.setEncoding("utf8").on("data", (text: string) => {
                count += text.split('"content":"').length - 1
                tail = (tail + text).slice(-100)
              })
              reader.on("end", () => resolve(tail))
              reader.resume()
            })
        )
        expect(whole.endsWith("data: [DONE]\n\n")).toBe(true)
        // The first piece names the role, with empty content; a chunk's edge may cut a mark in two.
        expect(Math.abs(count - words - 1)).toBeLessThan(words / 100)
      }).pipe(Effect.timeout("80 seconds")),
    90_000
  )

  it.scopedLive(
    "a client that does not read holds the provider and the session only as long as the answer may take, and does not count against the provider",
    () =>
      Effect.gen(function* () {
        const { apiKey, client, databaseUrl, guardian, router, server } = yield* startedBefore(
          (request, response) => {
            if (request.body["stream"] !== true) return answering(200, completion("hello"))(request, response)
            response.writeHead(200, { "content-type": "text/event-stream" })
            const piece = events(delta("x".repeat(16 * 1024)))
            const send = () => {
              while (response.write(piece));
              response.once("drain", send)
            }
            send()
          },
          { timeouts: "{ total: 4s }" }
        )
        const ids = ["unread-1", "unread-2", "unread-3"]
        for (const id of ids) yield* pausedReader(router, apiKey, { model: "real", messages, stream: true }, id)
        for (const id of ids) {
          expect((yield* rowsOfAborted(databaseUrl, id)).at(-1)).toMatchObject({
            reason: "the client did not read its answer in time",
            metadata: { closed_by: "unread" }
          })
        }
        while (server.hangUps() < 3 || guardian.open().length > 0) yield* Effect.sleep("10 millis")
        const { choices } = yield* Effect.promise(() => client.chat.completions.create({ model: "real", messages }))
        expect(choices[0]?.message.content).toBe("hello")
      }).pipe(Effect.timeout("80 seconds")),
    90_000
  )
})
