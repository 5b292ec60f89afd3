import { existsSync, readFileSync } from "node:fs"
import * as Net from "node:net"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { EmbeddedPostgres } from "../../src/embedded-postgres/EmbeddedPostgres.ts"
import { childrenOf } from "../../src/embedded-postgres/Postmaster.ts"
import { untilClosed } from "../support/ClosedPort.ts"
import { eventually } from "../support/Eventually.ts"
import { request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { program, project } from "../support/Program.ts"
import { skipBecause } from "../support/SkipBecause.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"

/** Requests without a pause on `connections` kept-alive connections until the server is gone; `answered` fills with their ids. */
const load = (url: string, token: string, connections: number, answered: Array<string>) =>
  Effect.promise(async () => {
    const one = async () => {
      for (let n = 0; n < 200_000; n++) {
        try {
          const response = await fetch(`${url}/validate`, {
            method: "POST",
            headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
            body: '{"action":"read","resource":"vaults/load"}'
          })
          const body = await response.text()
          if (response.status !== 200) return
          answered.push(JSON.parse(body).audit_id)
        } catch {
          return
        }
      }
    }
    await Promise.all(Array.from({ length: connections }, one))
  })

const reached = (answered: ReadonlyArray<string>, count: number) =>
  Effect.suspend(() => (answered.length < count ? Effect.fail("not yet" as const) : Effect.void)).pipe(
    Effect.retry(Schedule.spaced("10 millis")),
    Effect.timeout("60 seconds"),
    Effect.orDie
  )

/** Waits until a gatekeeper has as many requests under way. */
const untilInFlight = (url: string, count: number) =>
  Effect.promise(async () => (await fetch(`${url}/metrics`)).text()).pipe(
    Effect.filterOrFail(
      (text) => new RegExp(`^http_server_requests_in_flight\\{service="gatekeeper"\\} ${count}$`, "m").test(text),
      (text) => text
    ),
    Effect.retry(Schedule.spaced("20 millis").pipe(Schedule.upTo("30 seconds"))),
    Effect.orDieWith((text) => new Error(`it never had ${count} under way:\n${text}`))
  )

/** Of the processes below `pid`, that in which the program itself runs. */
const programBelow = (pid: number): number => {
  const [child] = childrenOf(pid).filter((one) => readFileSync(`/proc/${one}/cmdline`, "utf8").includes("main.ts"))
  return child === undefined ? pid : programBelow(child)
}

const recorded = (url: Redacted.Redacted) =>
  Effect.map(rowsOf(url, "select id from gatekeeper.audit_log"), (rows) => rows.map((row) => String(row["id"])))

describe("the end", () => {
  it.scopedLive("by SIGTERM under load: every answer that was given has its row, once, and the exit is clean", () =>
    Effect.gen(function* () {
      const databaseUrl = yield* migratedDatabase
      const running = yield* program({
        environment: { DATABASE_URL: Redacted.value(databaseUrl), JWT_SECRET_KEY: signingSecret }
      })
      const gatekeeper = yield* running.url("gatekeeper")
      const token = yield* Effect.promise(() => tokenOf("Librarian"))
      const answered: Array<string> = []
      const loading = yield* Effect.fork(load(gatekeeper, token, 16, answered))
      yield* reached(answered, 300)
      yield* running.signal("SIGTERM")
      const { code } = yield* running.ended("25 seconds")
      yield* Fiber.join(loading)
      expect(code).toBe(0)
      const closed = [...running.stdout().matchAll(/(\w+) closed its port/g)].map(([, service]) => service)
      expect(closed).toEqual(["Router", "Guardian", "Gatekeeper"])
      const rows = yield* recorded(databaseUrl)
      expect(new Set(rows).size).toBe(rows.length)
      const there = new Set(rows)
      expect(answered.filter((id) => !there.has(id))).toEqual([])
      const sources = yield* rowsOf(databaseUrl, "select last_seq, signed_off_seq from gatekeeper.audit_source")
      expect(sources.length).toBe(1)
      expect(sources[0]?.["signed_off_seq"]).toBe(sources[0]?.["last_seq"])
    })
  )

  it.scopedLive("after SHUTDOWN_DELAY: /readyz says 503 at the signal, and every request is answered until then", () =>
    Effect.gen(function* () {
      const running = yield* program({
        args: ["gatekeeper"],
        environment: {
          DATABASE_URL: Redacted.value(yield* migratedDatabase),
          JWT_SECRET_KEY: signingSecret,
          SHUTDOWN_DELAY: "2s"
        }
      })
      const gatekeeper = yield* running.url("gatekeeper")
      const token = yield* Effect.promise(() => tokenOf("Librarian"))
      expect((yield* request(`${gatekeeper}/readyz`)).status).toBe(200)
      yield* running.signal("SIGTERM")
      yield* eventually(request(`${gatekeeper}/readyz`), ({ status }) => status === 503)
      expect((yield* request(`${gatekeeper}/health`)).body["warnings"]).toEqual([
        expect.stringContaining("SHUTDOWN_DELAY")
      ])
      const body = { action: "read", resource: "vaults/a" }
      expect((yield* request(`${gatekeeper}/validate`, { token, body })).status).toBe(200)
      expect((yield* running.ended("20 seconds")).code).toBe(0)
      expect(running.stdout()).toContain("/readyz answers 503 now, and the ports close after SHUTDOWN_DELAY (2s)")
    })
  )

  it.scopedLive(
    "through the tsx command, which kills a child that is slow to answer its signal: not this one",
    (context) =>
      Effect.gen(function* () {
        if (!existsSync("/proc/self/cmdline")) return skipBecause(context, "the system has no /proc")
        const databaseUrl = yield* migratedDatabase
        const running = yield* program({
          runner: [join(project, "node_modules/.bin/tsx")],
          environment: { DATABASE_URL: Redacted.value(databaseUrl), JWT_SECRET_KEY: signingSecret }
        })
        const gatekeeper = yield* running.url("gatekeeper")
        const token = yield* Effect.promise(() => tokenOf("Librarian"))
        const answered: Array<string> = []
        const loading = yield* Effect.fork(load(gatekeeper, token, 64, answered))
        yield* reached(answered, 300)
        const serving = programBelow(running.pid)
        process.kill(serving, "SIGSTOP")
        yield* running.signal("SIGTERM")
        yield* Effect.sleep("300 millis")
        process.kill(serving, "SIGCONT")
        expect((yield* running.ended("25 seconds")).code).toBe(0)
        yield* Fiber.join(loading)
        const there = new Set(yield* recorded(databaseUrl))
        expect(answered.filter((id) => !there.has(id))).toEqual([])
      }),
    90_000
  )

  it.scopedLive("waits for a request whose body is still on its way, and its row is written", () =>
    Effect.gen(function* () {
      const databaseUrl = yield* migratedDatabase
      const running = yield* program({
        args: ["gatekeeper"],
        environment: {
          DATABASE_URL: Redacted.value(databaseUrl),
          JWT_SECRET_KEY: signingSecret,
          SHUTDOWN_DEADLINE: "5m"
        }
      })
      const gatekeeper = yield* running.url("gatekeeper")
      const { hostname, port } = new URL(gatekeeper)
      const token = yield* Effect.promise(() => tokenOf("Librarian"))
      const body = '{"action":"read","resource":"vaults/slow"}'
      const socket = Net.connect(Number(port), hostname)
      let received = ""
      socket.setEncoding("utf8").on("data", (chunk) => {
        received += chunk
      })
      socket.write(
        `POST /validate HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${token}\r\ncontent-length: ${body.length}\r\n\r\n`
      )
      socket.write(body.slice(0, 10))
      // It, and the question itself.
      yield* untilInFlight(gatekeeper, 2)
      yield* running.signal("SIGTERM")
      yield* untilClosed(Number(port))
      const closed = Effect.async<void>((resume) => void socket.once("close", () => resume(Effect.void)))
      yield* Effect.zipRight(
        Effect.sync(() => socket.write(body.slice(10))),
        closed
      )
      expect((yield* running.ended()).code).toBe(0)
      expect(received).toContain("200 OK")
      const rows = yield* rowsOf(databaseUrl, "select resource from gatekeeper.audit_log")
      expect(rows).toEqual([{ resource: "vaults/slow" }])
    })
  )

  it.scopedLive(
    "by Ctrl-C, to the whole group, on the embedded PostgreSQL: nothing answered is missing, and PostgreSQL ends last",
    () =>
      Effect.gen(function* () {
        const home = yield* temporaryHome
        const running = yield* program({ environment: { GRAVITAS_HOME: home, JWT_SECRET_KEY: signingSecret } })
        const gatekeeper = yield* running.url("gatekeeper")
        const token = yield* Effect.promise(() => tokenOf("Librarian"))
        const answered: Array<string> = []
        const loading = yield* Effect.fork(load(gatekeeper, token, 8, answered))
        yield* reached(answered, 300)
        yield* running.signalGroup("SIGINT")
        expect((yield* running.ended("25 seconds")).code).toBe(0)
        yield* Fiber.join(loading)
        const rows = Effect.flatMap(EmbeddedPostgres, ({ url }) => recorded(url))
        const there = new Set(yield* Effect.provide(rows, EmbeddedPostgres.layer({ home, join: true })))
        expect(answered.filter((id) => !there.has(id))).toEqual([])
      }),
    120_000
  )
})
