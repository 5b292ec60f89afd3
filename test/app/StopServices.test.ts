import * as Http from "node:http"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { type ServiceName, serviceNames } from "../../src/domain/Service.ts"
import { signingSecret, tokenOf } from "../support/Gravitas.ts"
import { program } from "../support/Program.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"

interface Target {
  readonly method: string
  readonly path: string
  readonly headers: Http.OutgoingHttpHeaders
  readonly body?: string
}

/** How often each thing happened: a status, or the code of an error. */
type Tally = Map<string, number>

const count = (tally: Tally, what: string) => tally.set(what, (tally.get(what) ?? 0) + 1)

/** One request: its status once its body is there, else why there was none. */
const one = (url: string, agent: Http.Agent, target: Target) =>
  new Promise<string>((resolve) => {
    const request = Http.request(
      new URL(target.path, url),
      { agent, method: target.method, headers: target.headers },
      (response) => {
        let body = ""
        response.setEncoding("utf8").on("data", (chunk) => {
          body += chunk
        })
        response.once("end", () => {
          const isShape =
            response.statusCode !== 503 || JSON.parse(body).error !== undefined || "status" in JSON.parse(body)
          resolve(isShape ? String(response.statusCode) : `503 with ${body}`)
        })
        response.once("error", (error: NodeJS.ErrnoException) => resolve(`cut in its answer: ${error.code}`))
      }
    )
    request.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    request.end(target.body)
  })

/** Without a pause on kept-alive connections, until the port is closed. */
const load = (url: string, target: Target, tally: Tally) =>
  Effect.promise(async () => {
    const agent = new Http.Agent({ keepAlive: true, maxSockets: 12 })
    const loop = async () => {
      for (;;) {
        const what = await one(url, agent, target)
        count(tally, what)
        if (what === "ECONNREFUSED" || (tally.get("200") ?? 0) > 300_000) return
      }
    }
    await Promise.all(Array.from({ length: 12 }, loop))
    agent.destroy()
  })

it.scopedLive(
  "at SIGTERM under load each service answers or refuses every request, and cuts none",
  () =>
    Effect.gen(function* () {
      const databaseUrl = yield* migratedDatabase
      const running = yield* program({
        environment: { DATABASE_URL: Redacted.value(databaseUrl), JWT_SECRET_KEY: signingSecret }
      })
      const token = yield* Effect.promise(() => tokenOf("Librarian"))
      const targets: Readonly<Record<ServiceName, Target>> = {
        gatekeeper: {
          method: "POST",
          path: "/validate",
          headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
          body: '{"action":"read","resource":"vaults/load"}'
        },
        guardian: { method: "GET", path: "/readyz", headers: {} },
        router: { method: "GET", path: "/healthz", headers: {} }
      }
      const tallies: Readonly<Record<ServiceName, Tally>> = {
        gatekeeper: new Map(),
        guardian: new Map(),
        router: new Map()
      }
      const urls = yield* Effect.all({
        gatekeeper: running.url("gatekeeper"),
        guardian: running.url("guardian"),
        router: running.url("router")
      })
      const loading = yield* Effect.forEach(serviceNames, (service) =>
        Effect.fork(load(urls[service], targets[service], tallies[service]))
      )
      yield* Effect.suspend(() =>
        serviceNames.every((service) => (tallies[service].get("200") ?? 0) > 100) ? Effect.void : Effect.fail("not yet")
      ).pipe(Effect.retry(Schedule.spaced("20 millis")), Effect.timeout("60 seconds"), Effect.orDie)
      yield* running.signal("SIGTERM")
      expect((yield* running.ended("25 seconds")).code).toBe(0)
      yield* Fiber.joinAll(loading)
      for (const service of serviceNames) {
        const known = new Set(["200", "503", "ECONNREFUSED"])
        expect(
          [...tallies[service]].filter(([what]) => !known.has(what)),
          service
        ).toEqual([])
      }
      expect(running.output()).not.toContain("cut off")
    }),
  90_000
)
