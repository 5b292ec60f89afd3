import { mkdirSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { decodeJwt } from "jose"
import { request, signingSecret } from "../support/Gravitas.ts"
import { signingKey } from "../support/Guardian.ts"
import { fromSources, program } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { freshDatabase, migratedDatabase } from "../support/TestDatabase.ts"
import { insecureUnderTest } from "../support/Tokens.ts"

/** A port where nothing listens. */
const closedPort = Effect.async<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

const environmentOf = (url: Redacted.Redacted) => ({ DATABASE_URL: Redacted.value(url), JWT_SECRET_KEY: signingSecret })

describe("the program's settings and command line", () => {
  it.scopedLive("says that the database is away, tries again, and gives up at the deadline (fault 4)", () =>
    Effect.gen(function* () {
      const port = yield* closedPort
      const running = yield* program({
        environment: {
          DATABASE_URL: `postgresql://gravitas:topsecret@127.0.0.1:${port}/gravitas`,
          JWT_SECRET_KEY: signingSecret,
          DATABASE_CONNECT_DEADLINE: "1s"
        }
      })
      const { code } = yield* running.ended()
      expect(code).toBe(9)
      expect(running.output()).toMatch(
        /not reachable at postgresql:\/\/gravitas@127\.0\.0\.1:\d+\/gravitas \(attempt 1/
      )
      expect(running.stderr()).toMatch(/cannot connect[\s\S]*DATABASE_URL/)
      expect(running.output()).not.toContain("topsecret")
      expect(running.output()).not.toContain("Gravitas is ready")
    })
  )

  it.scopedLive("refuses wrong settings all at once, each by name, before anything else", () =>
    Effect.gen(function* () {
      const running = yield* program({
        environment: { GATEKEEPER_PORT: "eighty", AUDIT_ON_FULL: "explode", JWT_SECRET_KEY: "tooshort" }
      })
      expect((yield* running.ended()).code).toBe(1)
      for (const name of ["GATEKEEPER_PORT", "AUDIT_ON_FULL", "JWT_SECRET_KEY"])
        expect(running.stderr()).toContain(name)
      expect(running.stderr()).not.toContain("tooshort")
    })
  )

  it.scopedLive("starts in production with real secrets only", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      for (const [missing, given] of [
        ["GUARDIAN_SIGNING_KEY", { JWT_SECRET_KEY: signingSecret }],
        ["JWT_SECRET_KEY", { GUARDIAN_SIGNING_KEY: signingKey }]
      ] as const) {
        const running = yield* program({
          environment: {
            DATABASE_URL: Redacted.value(url),
            NODE_ENV: "production",
            ALLOW_INSECURE: insecureUnderTest,
            ...given
          }
        })
        expect((yield* running.ended()).code).toBe(1)
        expect(running.stderr()).toContain(`${missing} is not set`)
      }
    })
  )

  it.scopedLive(
    "starts as root whatever the umask, in a home that is not there yet",
    () =>
      Effect.gen(function* () {
        const home = join(yield* temporaryHome, "new", "home")
        const running = yield* program({
          args: ["router"],
          runner: ["sh", "-c", 'umask 077; exec "$@"', "sh", ...fromSources],
          environment: { GRAVITAS_HOME: home }
        })
        const ready = yield* request(`${yield* running.url("router")}/readyz`)
        expect(ready.body).toMatchObject({ checks: { database: true } })
        expect(running.stderr()).toContain(`data in ${home}`)
        yield* running.signal("SIGTERM")
        expect((yield* running.ended()).code).toBe(0)
      }),
    60_000
  )

  it.scopedLive("takes its settings from .env too, under the environment's", () =>
    Effect.gen(function* () {
      const url = yield* migratedDatabase
      const directory = yield* temporaryHome
      writeFileSync(
        join(directory, ".env"),
        `HOST=127.0.0.2\nLOG_FORMAT=pretty\nLOG_LEVEL=warning\nDATABASE_URL=${Redacted.value(url)}\nJWT_ISSUER=wrong\n`
      )
      const running = yield* program({ args: ["router"], directory, environment: { LOG_LEVEL: "info" } })
      expect(yield* running.url("router")).toContain("http://127.0.0.2:")
      expect(running.stdout()).toMatch(/INFO .*Router schema versioned/)
      expect(running.stdout()).not.toContain('{"message"')
    })
  )

  it.scopedLive("refuses a .env that it cannot read, rather than start with other settings", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryHome
      mkdirSync(join(directory, ".env"))
      const running = yield* program({ directory })
      expect((yield* running.ended()).code).toBe(1)
      expect(running.stderr()).toMatch(/\.env: cannot be read/)
    })
  )

  it.scopedLive(
    "runs a router in production with a token of its own, without the secret that only the gatekeeper needs",
    () =>
      Effect.gen(function* () {
        const url = yield* migratedDatabase
        const running = yield* program({
          args: ["router"],
          environment: {
            DATABASE_URL: Redacted.value(url),
            NODE_ENV: "production",
            ALLOW_INSECURE: insecureUnderTest,
            SERVICE_TOKEN: "header.claims.signature"
          }
        })
        const ready = yield* request(`${yield* running.url("router")}/readyz`)
        expect(ready.body).toMatchObject({ checks: { database: true } })
      })
  )

  it.scopedLive("prints tokens alone on stdout, for as long and with the groups that were asked for", () =>
    Effect.gen(function* () {
      const command = yield* program({
        args: ["token", "Scout", "--ttl", "90s", "--group", "a", "--group", "b"],
        environment: { JWT_SECRET_KEY: signingSecret, JWT_ISSUER: "https://issuer.example" }
      })
      expect((yield* command.ended()).code).toBe(0)
      expect(command.stdout()).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/)
      const claims = decodeJwt(command.stdout().trim())
      expect(claims).toMatchObject({ sub: "Scout", groups: ["a", "b"], iss: "https://issuer.example" })
      expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(90)
      const wrong = yield* program({ args: ["token", "Scout", "--ttl", "soon"] })
      expect((yield* wrong.ended()).code).toBe(2)
      expect(wrong.stderr()).toContain("soon")
    })
  )

  it.scopedLive("names the port that is taken and the variable that sets another", () =>
    Effect.gen(function* () {
      const url = yield* migratedDatabase
      const first = yield* program({ environment: environmentOf(url) })
      const { port } = new URL(yield* first.url("router"))
      const second = yield* program({ environment: { ...environmentOf(url), ROUTER_PORT: port } })
      expect((yield* second.ended()).code).toBe(1)
      expect(second.stderr()).toContain(`router cannot listen on 127.0.0.1:${port}`)
      expect(second.stderr()).toContain("ROUTER_PORT")
    })
  )

  it.scopedLive("explains itself: --help, --version, and usage errors that end with 2", () =>
    Effect.gen(function* () {
      const help = yield* program({ args: ["--help"] })
      expect((yield* help.ended()).code).toBe(0)
      expect(help.stdout()).toMatch(/- migrate +Upgrades the schemas[^\n]*\n[\s\S]*- token +Prints/)
      const ofGroup = yield* program({ args: ["migrate", "--help"] })
      expect((yield* ofGroup.ended()).code).toBe(0)
      expect(ofGroup.stdout()).toMatch(/--dry-run[\s\S]*- downgrade +Reverts[^\n]*\n[\s\S]*- upgrade +Applies/)
      for (const text of [help.stdout(), ofGroup.stdout()]) {
        expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThan(220)
      }
      // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are what must not be there
      expect(help.stdout()).not.toMatch(/\u001b/)
      const version = yield* program({ args: ["--version"] })
      expect((yield* version.ended()).code).toBe(0)
      expect(version.stdout()).toMatch(/^\d+\.\d+\.\d+\s*$/)
      const wrong = yield* program({ args: ["gatekeper"] })
      expect((yield* wrong.ended()).code).toBe(2)
      expect(wrong.stderr()).toContain("gatekeper")
    })
  )
})
