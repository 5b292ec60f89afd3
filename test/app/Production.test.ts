import { randomBytes, randomUUID } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { missingSecrets } from "../../src/app/Production.ts"
import { InsecureSettings, insecureNames } from "../../src/platform/config/InsecureSettings.ts"
import { certificateOf, testCa } from "../support/Certificates.ts"
import { closedPort, whileClosed } from "../support/ClosedPort.ts"
import { request, rowsOf } from "../support/Gravitas.ts"
import { signingKey } from "../support/Guardian.ts"
import { program } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { adminUrl, freshDatabase, migratedDatabase } from "../support/TestDatabase.ts"
import { insecureUnderTest, signingSecret } from "../support/Tokens.ts"

const weak = "a".repeat(32)
const strong = () => randomBytes(48).toString("base64")
const production = { NODE_ENV: "production", GUARDIAN_SIGNING_KEY: signingKey }

const models = (provider: string) =>
  `providers: {p: ${provider}}\nshells: {small: {tier: L1, provider: p, model: small}}\n`
const keyed = "{kind: openai-compatible, base_url: 'http://models.example/v1', api_key_env: KEY}"
const echoing =
  "providers: {p: {kind: echo}, q: {kind: openai-compatible, base_url: 'http://m.example/v1', api_key_env: KEY}}\nshells: {small: {tier: L1, provider: p}}\n"

/** A database that a role without further rights owns. */
const ownDatabase = Effect.gen(function* () {
  const role = `app_${randomUUID().replaceAll("-", "")}`
  yield* Effect.acquireRelease(rowsOf(adminUrl, `create role ${role} login password 'test'`), () =>
    Effect.orDie(rowsOf(adminUrl, `drop role ${role}`))
  )
  const url = new URL(Redacted.value(yield* freshDatabase))
  yield* rowsOf(adminUrl, `alter database ${url.pathname.slice(1)} owner to ${role}`)
  url.username = role
  url.password = "test"
  return url.href
})

describe("The secrets that production needs", () => {
  const tokens = { algorithms: ["HS256"], secret: Option.none() } as const
  const guardian = { signingKey: Option.none() } as const

  it.each([
    [["gatekeeper", "guardian", "router"], tokens, ["JWT_SECRET_KEY", "GUARDIAN_SIGNING_KEY"]],
    [["gatekeeper"], tokens, ["JWT_SECRET_KEY"]],
    [["guardian", "router"], tokens, ["GUARDIAN_SIGNING_KEY"]],
    [["gatekeeper"], { ...tokens, algorithms: ["RS256"] }, []]
  ] as const)("of %j are named together", (services, tokens, names) => {
    const missing = missingSecrets({ services, tokens, guardian })
    expect(missing.map(({ name }) => name)).toEqual(names)
    for (const { name, problem } of missing) expect(problem).toContain(`to make one: ${name}="$(openssl `)
  })

  it("are told beside what is insecure, which alone ALLOW_INSECURE accepts", () => {
    const missing = missingSecrets({ services: ["gatekeeper"], tokens, guardian })
    const problems = [{ name: "superuser", problem: "it is one" }] as const
    const { message } = new InsecureSettings({ missing, problems })
    expect(message).toMatch(
      /^Settings are missing, .*:\n {2}JWT_SECRET_KEY is not set: .*\nInsecure settings refused, /
    )
    expect(message).toContain("ALLOW_INSECURE=superuser:\n  superuser: it is one")
    expect(new InsecureSettings({ missing, problems: [] }).message).not.toContain("ALLOW_INSECURE")
  })
})

describe("A start in production", () => {
  it.scopedLive(
    "refuses every insecure setting by its name, all at once, before a port opens, and prints no secret",
    () =>
      Effect.gen(function* () {
        const directory = yield* temporaryHome
        writeFileSync(join(directory, "models.yaml"), echoing)
        const port = yield* closedPort
        const insecure = {
          ...production,
          HOST: "0.0.0.0",
          GATEKEEPER_PORT: String(port),
          GATEKEEPER_DATABASE_URL: Redacted.value(yield* freshDatabase),
          ROUTER_DATABASE_URL: "postgresql://gravitas:pass-of-router@db.invalid/gravitas",
          JWT_SECRET_KEY: weak,
          GUARDIAN_URL: "http://guardian.example:8003",
          OTEL_EXPORTER_OTLP_ENDPOINT: "http://otel.example:4318",
          OTEL_EXPORTER_OTLP_HEADERS: "api-key=key-of-otel",
          TRUSTED_PROXIES: "10.0.0.0/8,0.0.0.0/0",
          AUDIT_DURABILITY: "memory",
          AUDIT_ON_FULL: "shed",
          ROUTER_MODELS_PATH: "models.yaml"
        }
        const refused = yield* program({ directory, environment: insecure })
        expect((yield* whileClosed(port, refused.ended())).code).toBe(1)
        const named = [...refused.stderr().matchAll(/^ {2}([a-z-]+): .{20,}$/gm)].map(([, name]) => name)
        expect(named.toSorted()).toEqual([...insecureNames].toSorted())
        expect(refused.output()).not.toMatch(new RegExp(`${weak}|pass-of-router|key-of-otel`))
        // The names that one accepts do not accept the others.
        const some = yield* program({
          directory,
          environment: { ...insecure, ALLOW_INSECURE: "weak-secret,plain-http" }
        })
        expect((yield* some.ended()).code).toBe(1)
        expect(some.stderr()).not.toMatch(/^ {2}(weak-secret|plain-http):/m)
        expect(some.stderr()).toMatch(/^ {2}superuser:/m)
        const unknown = yield* program({ directory, environment: { ...insecure, ALLOW_INSECURE: "all" } })
        expect((yield* unknown.ended()).code).toBe(1)
        expect(unknown.stderr()).toContain("ALLOW_INSECURE: got")
      }),
    90_000
  )

  it.scopedLive(
    "with secure settings needs no exception, warns of nothing and prints no token",
    () =>
      Effect.gen(function* () {
        const directory = yield* temporaryHome
        const ca = testCa("a CA")
        const server = certificateOf("gravitas", ca)
        const files = {
          "tls.crt": server.cert,
          "tls.key": server.keyPem,
          "policy.yaml":
            'groups: {a: {permissions: [{action: read, resource: "vaults/*"}]}}\nghost_mappings: {Scout: [a]}\n',
          "models.yaml": models(keyed.replace("http:", "https:"))
        }
        for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
        const running = yield* program({
          directory,
          environment: {
            ...production,
            HOST: "0.0.0.0",
            DATABASE_URL: yield* ownDatabase,
            JWT_SECRET_KEY: strong(),
            JWT_ISSUER: "https://issuer.example",
            JWT_AUDIENCE: "gravitas",
            TLS_CERT_FILE: "tls.crt",
            TLS_KEY_FILE: "tls.key",
            ACCESS_POLICY_PATH: "policy.yaml",
            ROUTER_MODELS_PATH: "models.yaml"
          }
        })
        yield* running.printed(/Gravitas is ready/)
        yield* running.printed(/Each port has \/docs.*\n {2}Home \/\S+; audit events in mode journal\n/)
        expect(running.output()).not.toMatch(/DANGER|ALLOW_INSECURE|eyJ[\w-]{10}/)
      }),
    90_000
  )

  it.scopedLive(
    "shows what was accepted in the banner, in the log and in every service's health; development shows nothing",
    () =>
      Effect.gen(function* () {
        const environment = {
          GUARDIAN_SIGNING_KEY: signingKey,
          DATABASE_URL: Redacted.value(yield* migratedDatabase),
          JWT_SECRET_KEY: signingSecret,
          ALLOW_INSECURE: insecureUnderTest
        }
        for (const [mode, names] of [
          ["production", insecureUnderTest.split(",")],
          ["development", []]
        ] as const) {
          const running = yield* program({ environment: { ...environment, NODE_ENV: mode } })
          for (const service of ["gatekeeper", "guardian", "router"]) {
            const { body } = yield* request(`${yield* running.url(service)}/health`)
            const warnings = (body["warnings"] ?? []) as ReadonlyArray<string>
            const accepted = warnings.flatMap((one) => /^ALLOW_INSECURE accepts ([a-z-]+)$/.exec(one)?.[1] ?? [])
            expect([mode, service, accepted.toSorted()]).toEqual([mode, service, names.toSorted()])
          }
          for (const name of names) {
            expect(running.stderr()).toContain(`ALLOW_INSECURE accepts ${name}`)
            expect(running.stdout()).toContain(`DANGER: ALLOW_INSECURE accepts ${name}`)
          }
          expect(running.output()).not.toMatch(/eyJ[\w-]{10}/)
          yield* running.signal("SIGTERM")
          yield* running.ended()
        }
      }),
    90_000
  )
})
