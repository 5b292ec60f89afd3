import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import type { ServiceName } from "../../src/domain/Service.ts"
import { request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { type Program, program } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"

/** A service in a process of its own, which comes back where it was, with what it left on its disk. */
const service = (name: ServiceName, databaseUrl: Redacted.Redacted, environment: Record<string, string>) =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const directory = yield* temporaryHome
    const begin = (port: string) =>
      program({
        args: [name],
        directory,
        environment: {
          DATABASE_URL: Redacted.value(databaseUrl),
          JWT_SECRET_KEY: signingSecret,
          [`${name.toUpperCase()}_PORT`]: port,
          ...environment
        }
      }).pipe(Scope.extend(scope))
    let running: Program = yield* begin("0")
    const url = yield* running.url(name)
    const kill = Effect.zipRight(
      Effect.suspend(() => running.signal("SIGKILL")),
      Effect.suspend(() => running.ended())
    )
    const restart = Effect.flatMap(begin(new URL(url).port), (next) =>
      Effect.sync(() => {
        running = next
      })
    )
    return { url, kill, restart }
  })

interface Told {
  readonly status: number
  readonly code: string
  readonly auditId: string | null
}

/** 0 if no program listens, or the one that did is gone. */
const gone: Told = { status: 0, code: "gone", auditId: null }

const codeOf = (body: unknown): string => {
  const error: unknown = Reflect.get(Object(body), "error")
  return String(Reflect.get(Object(error), "code") ?? "")
}

it.scopedLive(
  "whichever service is killed under load, the others answer as documented, all recover, and what was answered is in the trail",
  () =>
    Effect.gen(function* () {
      const databaseUrl = yield* migratedDatabase
      const gatekeeper = yield* service("gatekeeper", databaseUrl, {})
      const guardian = yield* service("guardian", databaseUrl, { GATEKEEPER_URL: gatekeeper.url })
      const router = yield* service("router", databaseUrl, {
        GATEKEEPER_URL: gatekeeper.url,
        GUARDIAN_URL: guardian.url
      })
      const [admin, token] = yield* Effect.promise(() =>
        Promise.all([tokenOf("Supervisor_Managed_Agent"), tokenOf("Librarian")])
      )
      yield* request(`${guardian.url}/certificates`, { token: admin, body: { agent: "Librarian" } }).pipe(
        Effect.filterOrFail(({ status }) => status === 201),
        Effect.retry(Schedule.spaced("100 millis")),
        Effect.timeout("60 seconds")
      )

      const told: Array<Told> = []
      const ask = Effect.promise(async (signal) => {
        try {
          const response = await fetch(`${router.url}/v1/chat/completions`, {
            method: "POST",
            headers: { authorization: `Bearer ${token}` },
            body: JSON.stringify({ model: "echo", messages: [{ role: "user", content: "hi" }] }),
            signal
          })
          const body: unknown = JSON.parse(await response.text())
          return { status: response.status, code: codeOf(body), auditId: response.headers.get("x-audit-id") }
        } catch {
          return gone
        }
      }).pipe(Effect.tap((answer) => Effect.sync(() => told.push(answer))))
      const works = ask.pipe(
        Effect.filterOrFail(({ status }) => status === 200),
        Effect.retry(Schedule.spaced("100 millis")),
        Effect.timeout("60 seconds"),
        Effect.orDieWith(() => new Error(`it did not recover: ${JSON.stringify(told.slice(-5))}`))
      )
      /** Waits until as many more have been told, of which `counts`. */
      const more = (count: number, counts: (one: Told) => boolean = () => true) =>
        Effect.suspend(() => {
          const from = told.length
          return Effect.sync(() => told.slice(from).filter(counts).length).pipe(
            Effect.repeat({ until: (found) => found >= count, schedule: Schedule.spaced("20 millis") }),
            Effect.timeout("60 seconds"),
            Effect.orDieWith(() => new Error(`nothing more was told: ${JSON.stringify(told.slice(-5))}`))
          )
        })
      const isAnswer = ({ status }: Told) => status === 200
      yield* works
      const load = yield* Effect.fork(
        Effect.forEach([1, 2, 3, 4], () => Effect.forever(Effect.zipRight(ask, Effect.sleep("20 millis"))), {
          concurrency: "unbounded"
        })
      )
      for (const one of [gatekeeper, guardian, router]) {
        yield* more(10, isAnswer)
        yield* one.kill
        yield* Effect.zip(more(4), Effect.sleep("2 seconds"), { concurrent: true })
        yield* one.restart
        yield* works
      }
      yield* more(10, isAnswer)
      yield* Fiber.interrupt(load)

      const kinds = new Set(told.map(({ code, status }) => `${status} ${code}`.trim()))
      for (const kind of kinds) {
        expect([
          "200",
          "0 gone",
          "503 peer_unavailable",
          "503 audit_unavailable",
          "503 database_unavailable"
        ]).toContain(kind)
      }
      expect(kinds).toContain("503 peer_unavailable")

      const answered = told.flatMap(({ auditId, status }) => (status === 200 && auditId !== null ? [auditId] : []))
      expect(answered.length).toBeGreaterThan(20)
      expect(answered.length).toBe(told.filter(({ status }) => status === 200).length)
      const rows = yield* rowsOf(databaseUrl, "select id::text from gatekeeper.audit_log where id = any($1::uuid[])", [
        answered
      ]).pipe(
        Effect.filterOrFail(
          (found) => found.length === answered.length,
          (found) => found.length
        ),
        Effect.retry(Schedule.spaced("200 millis").pipe(Schedule.upTo("60 seconds"))),
        Effect.orDieWith((found) => new Error(`${found} of ${answered.length} rows are there`))
      )
      expect(new Set(rows.map((row) => row["id"])).size).toBe(answered.length)
      const lost = yield* rowsOf(
        databaseUrl,
        "select source from gatekeeper.audit_source where lost > 0 or quarantined > 0"
      )
      expect(lost).toEqual([])
    }),
  300_000
)
