import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { request, signingSecret, tokenOf } from "../../support/Gravitas.ts"
import { program } from "../../support/Program.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"
import { migratedDatabase } from "../../support/TestDatabase.ts"

it.scopedLive(
  "trail status accounts for a running server's events, journal fsck refuses its journal, and both read it after SIGKILL",
  () =>
    Effect.gen(function* () {
      const environment = {
        DATABASE_URL: Redacted.value(yield* migratedDatabase),
        JWT_SECRET_KEY: signingSecret,
        GRAVITAS_HOME: yield* temporaryHome
      }
      const command = (args: string, more: Readonly<Record<string, string>> = {}) =>
        Effect.gen(function* () {
          const running = yield* program({ args: args.split(" "), environment: { ...environment, ...more } })
          const { code } = yield* running.ended()
          return { code, stdout: running.stdout(), stderr: running.stderr() }
        })
      const server = yield* program({ args: ["gatekeeper"], environment })
      const gatekeeper = yield* server.url("gatekeeper")
      const token = yield* Effect.promise(() => tokenOf("Supervisor_Managed_Agent"))
      const ask = request(`${gatekeeper}/validate`, { token, body: { action: "read", resource: "vaults/public" } })
      for (let i = 0; i < 5; i++) expect((yield* ask).status).toBe(200)

      const beside = yield* command("trail status --json")
      expect([beside.code, beside.stderr]).toEqual([0, ""])
      const { result } = JSON.parse(beside.stdout)
      const [source] = result.sources
      expect(source).toMatchObject({ standing: "runs here", pid: server.pid, offered: 5, unaccounted: 0 })
      expect(result.journals).toMatchObject([
        { source: source.source, holder: expect.stringContaining(`process ${server.pid} `), trail: result.trail }
      ])

      const refused = yield* command(`journal fsck ${source.source} --repair`)
      expect(refused.code).toBe(7)
      expect(refused.stderr).toContain(`process ${server.pid} `)

      yield* server.signal("SIGKILL")
      yield* server.ended()
      const away = yield* command("trail status", {
        DATABASE_URL: "postgresql://nouser:hidden-word@127.0.0.1:9/none",
        DATABASE_CONNECT_DEADLINE: "300ms"
      })
      expect(away.code).toBe(9)
      expect(away.stdout).toContain("The trail cannot be read; only the journals are shown.")
      expect(away.stdout).toMatch(new RegExp(`^${source.source} +no process `, "m"))
      expect(away.stdout + away.stderr).not.toContain("hidden-word")
      // journal fsck needs neither a database nor valid database settings.
      expect((yield* command(`journal fsck ${source.source}`, { DATABASE_URL: "nonsense" })).code).toBe(0)
    }),
  120_000
)
