import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { request } from "../support/Gravitas.ts"
import { program } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"

describe("migrate, beside a running server on the embedded PostgreSQL", () => {
  it.scopedLive(
    "uses that server's PostgreSQL; the service whose tables went away says so, and is ready again when they are back",
    () =>
      Effect.gen(function* () {
        const environment = { GRAVITAS_HOME: yield* temporaryHome }
        const running = yield* program({ environment })
        const router = yield* running.url("router")
        const migrate = (...args: ReadonlyArray<string>) =>
          Effect.gen(function* () {
            const command = yield* program({ args: ["migrate", ...args], environment })
            const { code } = yield* command.ended()
            return { code, ...command }
          })

        const status = yield* migrate("status")
        expect(status.code).toBe(0)
        expect(status.stdout()).toMatch(/router +\d{4}_\w+ +expand +applied/)

        expect((yield* migrate("downgrade", "base", "--service", "router")).code).toBe(0)
        yield* Effect.sleep("300 millis")
        const away = yield* request(`${router}/readyz`)
        expect(away.status).toBe(503)
        expect(away.body).toMatchObject({ checks: { database: true, schema: { actual: "base" } } })
        expect((yield* migrate("current", "--check-head")).code).toBe(3)

        expect((yield* migrate()).code).toBe(0)
        yield* Effect.sleep("300 millis")
        expect((yield* request(`${router}/readyz`)).status).toBe(200)

        // The commands have not stopped what they only used.
        expect((yield* request(`${yield* running.url("gatekeeper")}/readyz`)).body).toMatchObject({ status: "ready" })
        yield* running.signal("SIGTERM")
        expect((yield* running.ended()).code).toBe(0)
      }),
    90_000
  )
})
