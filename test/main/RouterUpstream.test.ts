import { writeFile } from "node:fs/promises"
import * as Http from "node:http"
import * as Path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import OpenAI from "openai"
import { answering, completion, delta, events, type Script, upstream } from "../router/support/Upstream.ts"
import { rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { guardianDouble } from "../support/GuardianDouble.ts"
import { program } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { freshDatabase } from "../support/TestDatabase.ts"

const secret = "sk-upstream-secret"

/** Gatekeeper and router before a provider that a test scripts. */
const startedBefore = (script: Script, shells = "") =>
  Effect.gen(function* () {
    const server = yield* upstream(script)
    const databaseUrl = yield* freshDatabase
    const guardian = yield* guardianDouble
    const directory = yield* temporaryHome
    const models = Path.join(directory, "models.yaml")
    yield* Effect.promise(() =>
      writeFile(
        models,
        `providers:
  up: { kind: openai-compatible, base_url: "${server.baseUrl}", api_key_env: UP_KEY }
  echo: { kind: echo }
shells:
  real: { tier: L1, provider: up, model: upstream-name }
  endless: { tier: L1, provider: echo, model: echo-endless }
${shells}`
      )
    )
    const running = yield* program({
      directory,
      args: ["gatekeeper", "router"],
      environment: {
        DATABASE_URL: Redacted.value(databaseUrl),
        JWT_SECRET_KEY: signingSecret,
        GUARDIAN_URL: guardian.url,
        ROUTER_MODELS_PATH: models,
        UP_KEY: secret
      }
    })
    const router = yield* running.url("router")
    const apiKey = yield* Effect.promise(() => tokenOf("Scout"))
    const client = new OpenAI({ baseURL: `${router}/v1`, apiKey, maxRetries: 0 })
    return { server, running, router, apiKey, client, databaseUrl, guardian }
  })

const messages = [{ role: "user" as const, content: "hi" }]

/** Asks for a stream and reads nothing of it until it is told to. */
const pausedReader = (router: string, apiKey: string, body: object) =>
  Effect.async<Http.IncomingMessage>((resume) => {
    const request = Http.request(
      `${router}/v1/chat/completions`,
      { method: "POST", headers: { authorization: `Bearer ${apiKey}` } },
      (response) => {
        response.pause()
        resume(Effect.succeed(response))
      }
    )
    request.end(JSON.stringify(body))
  })

const memoryOf = (pid: number) =>
  Effect.promise(async () => {
    const { readFile } = await import("node:fs/promises")
    return Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024
  })

describe("the router before a provider", () => {
  it.scopedLive(
    "ends the call at the provider when the client hangs up, streamed or not, and records it",
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
    "leaves a provider that keeps failing alone, tries it with one request, and shows neither its words nor its key",
    () =>
      Effect.gen(function* () {
        let isWell = false
        const { client, running, server } = yield* startedBefore((request, response) => {
          const script = isWell ? answering(200, completion("hello")) : answering(500, `it leaked ${secret}`)
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
        expect(running.output()).toContain("Provider up answers again")
        expect(running.output()).not.toContain(secret)
        expect(running.output()).not.toContain("leaked")
      }),
    90_000
  )

  it.scopedLive(
    "slows the provider down to the pace of its client, instead of holding what it does not read",
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
    "holds nothing of a long echo that nobody reads, and gives it whole to who reads at last",
    () =>
      Effect.gen(function* () {
        const { apiKey, router, running } = yield* startedBefore(() => {})
        const start = yield* memoryOf(running.pid)
        const ask = (words: number) =>
          pausedReader(router, apiKey, { model: "endless", messages, max_tokens: words, stream: true })
        // Two gigabytes of events, if somebody held them.
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
    "finishes a stream that runs when it is told to end, and records and writes its end",
    () =>
      Effect.gen(function* () {
        const { client, databaseUrl, guardian, running } = yield* startedBefore(
          () => {},
          "  slow: { tier: L1, provider: echo, model: echo-slow }\n"
        )
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
})
