import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { variables } from "../../src/app/AllSettings.ts"
import { serviceNames } from "../../src/domain/Service.ts"
import { embeddedServices } from "../../src/platform/config/Settings.ts"
import { load } from "../support/platform/SettingsLoading.ts"
import { wrong } from "./fixtures/WrongSettings.ts"

const refusal = (variables: Readonly<Record<string, string>>) => Effect.flip(load(variables))

const allWrong = Object.fromEntries(wrong.map(([name, value]) => [name, value]))

describe("Settings", () => {
  it.effect("have a default for every variable", () =>
    Effect.gen(function* () {
      const settings = yield* load({})
      const none = { gatekeeper: Option.none(), guardian: Option.none(), router: Option.none() }
      expect(settings).toEqual({
        process: {
          environment: "development",
          home: ".gravitas",
          host: "127.0.0.1",
          tls: Option.none(),
          allowedHosts: [],
          authDisabled: false,
          allowInsecure: [],
          ports: { gatekeeper: 8001, guardian: 8003, router: 8004 },
          httpMaximumConnections: 1_000,
          httpRequestTimeout: Duration.seconds(30),
          trustedProxies: [],
          databaseUrls: none,
          migrationDatabaseUrls: none,
          databaseAuth: { md5: true },
          embeddedPostgresPort: Option.none(),
          migrateOnStart: "upgrade",
          databaseConnectDeadline: Duration.seconds(30),
          shutdownDelay: Duration.zero,
          shutdownDeadline: Duration.seconds(25),
          log: { level: "Info", format: "auto" },
          telemetry: expect.objectContaining({
            destinations: { traces: Option.none(), metrics: Option.none(), logs: Option.none() },
            disabled: false,
            serviceName: "gravitas",
            sampler: { parentBased: true, ratio: 1 }
          })
        },
        clients: {
          peerUrls: { gatekeeper: Option.none(), guardian: Option.none() },
          peerCaFile: Option.none(),
          peerTimeout: Duration.seconds(2),
          sessionTimeout: Duration.minutes(15),
          clockTolerance: Duration.zero,
          stopFeedGrace: Duration.seconds(15)
        },
        audit: {
          durability: { default: "journal", byResult: {} },
          journalMaxBytes: 4 * 2 ** 30,
          journalFlushInterval: Duration.seconds(1),
          commitDeadline: Duration.seconds(2),
          queueCapacity: 8_192,
          batchSize: 1_000,
          linger: Duration.millis(20),
          failures: { perAddress: 10, inAll: 100 },
          onFull: "refuse"
        },
        gatekeeper: {
          accessPolicyPath: "config/access-policy.yaml",
          publicUrl: Option.none(),
          authDisabled: false
        },
        tokens: {
          secret: Option.none(),
          previousSecrets: [],
          issuer: Option.none(),
          audience: Option.none(),
          serviceToken: Option.none(),
          algorithms: ["HS256"],
          maximumLifetime: Duration.hours(24),
          issuedLifetime: Duration.hours(1),
          longServiceTokens: true,
          clockTolerance: Duration.zero,
          jwks: Option.none()
        },
        guardian: {
          signingKey: Option.none(),
          formerKeys: Option.none(),
          sessionTimeout: Duration.minutes(15),
          sessionRetention: Duration.days(90)
        },
        router: {
          modelsPath: "config/models.yaml",
          storeContent: false,
          maximumBodyBytes: 8_388_608,
          maximumMessages: 10_000,
          corsOrigins: [],
          keepAlive: Duration.seconds(20)
        }
      })
      expect(embeddedServices(settings.process)).toEqual(serviceNames)
    })
  )

  it.effect("take what is given", () =>
    Effect.gen(function* () {
      const settings = yield* load({
        NODE_ENV: "production",
        GRAVITAS_HOME: "/var/lib/gravitas",
        HOST: "0.0.0.0",
        GATEKEEPER_PORT: "9001",
        GUARDIAN_PORT: "9003",
        ROUTER_PORT: "0",
        MIGRATE_ON_START: "verify",
        DATABASE_CONNECT_DEADLINE: "2m",
        JWT_SECRET_KEY: "0123456789abcdef0123456789abcdef",
        JWT_ISSUER: "https://issuer.example",
        JWT_AUDIENCE: "gravitas",
        ACCESS_POLICY_PATH: "policy.yaml",
        AUDIT_DURABILITY: "memory",
        AUDIT_DURABILITY_BY_RESULT: "denied = fsync, UNAUTHENTICATED=COMMIT",
        AUDIT_JOURNAL_MAX_BYTES: "512MiB",
        AUDIT_JOURNAL_FLUSH_INTERVAL: "50ms",
        AUDIT_COMMIT_DEADLINE: "500ms",
        AUDIT_QUEUE_CAPACITY: "10",
        AUDIT_BATCH_SIZE: "5",
        AUDIT_LINGER: "0ms",
        AUDIT_ON_FULL: "shed",
        AUDIT_FAILURES_PER_ADDRESS: "3",
        AUDIT_FAILURES_IN_ALL: "30",
        TRUSTED_PROXIES: "10.0.0.0/8, 192.0.2.7,fd00::/8",
        ROUTER_MODELS_PATH: "models.yaml",
        ROUTER_STORE_CONTENT: "TRUE",
        ROUTER_MAX_BODY_BYTES: "1048576",
        ROUTER_MAX_MESSAGES: "1000",
        ROUTER_CORS_ORIGINS: "https://app.example, http://localhost:5173",
        ROUTER_KEEP_ALIVE: "1m",
        SHUTDOWN_DEADLINE: "1s",
        LOG_LEVEL: "DEBUG",
        LOG_FORMAT: "json",
        EMBEDDED_POSTGRES_PORT: "5433"
      })
      expect(settings).toMatchObject({
        process: {
          environment: "production",
          home: "/var/lib/gravitas",
          host: "0.0.0.0",
          databaseAuth: { md5: false },
          embeddedPostgresPort: Option.some(5433),
          migrateOnStart: "verify",
          ports: { gatekeeper: 9001, guardian: 9003, router: 0 },
          trustedProxies: ["10.0.0.0/8", "192.0.2.7", "fd00::/8"],
          databaseConnectDeadline: Duration.minutes(2),
          shutdownDeadline: Duration.seconds(1),
          log: { level: "Debug", format: "json" }
        },
        tokens: { issuer: Option.some("https://issuer.example"), audience: Option.some("gravitas") },
        gatekeeper: { accessPolicyPath: "policy.yaml" },
        router: {
          modelsPath: "models.yaml",
          storeContent: true,
          maximumBodyBytes: 1_048_576,
          maximumMessages: 1_000,
          corsOrigins: ["https://app.example", "http://localhost:5173"],
          keepAlive: Duration.minutes(1)
        },
        audit: {
          durability: { default: "memory", byResult: { DENIED: "fsync", UNAUTHENTICATED: "commit" } },
          journalMaxBytes: 512 * 2 ** 20,
          journalFlushInterval: Duration.millis(50),
          commitDeadline: Duration.millis(500),
          queueCapacity: 10,
          batchSize: 5,
          linger: Duration.zero,
          onFull: "shed",
          failures: { perAddress: 3, inAll: 30 }
        }
      })
      expect(Option.map(settings.tokens.secret, Redacted.value)).toEqual(
        Option.some("0123456789abcdef0123456789abcdef")
      )
    })
  )

  it.effect.each(wrong)(
    "refuse a wrong %s with its name, the expected shape and an example",
    ([name, value, expected]) =>
      Effect.gen(function* () {
        const refused = yield* refusal({ [name]: value })
        expect(refused.problems.map((problem) => problem.name)).toEqual([name])
        expect(refused.message).toContain(`${name}: `)
        expect(refused.message).toContain(`expected ${expected}`)
        expect(refused.message).toContain(`for example ${name}=`)
      })
  )

  it.effect("name all that is wrong at once, each once, in one message", () =>
    Effect.gen(function* () {
      const refused = yield* refusal(allWrong)
      expect(refused.problems.map((problem) => problem.name).toSorted()).toEqual(wrong.map(([name]) => name).toSorted())
    })
  )

  it.effect("never repeat a secret, in whatever form the refusal is shown", () =>
    Effect.gen(function* () {
      const refused = yield* refusal(allWrong)
      for (const form of [refused.message, String(refused), JSON.stringify(refused), refused.stack ?? ""]) {
        expect(form).not.toContain("hunter2")
      }
    })
  )

  it.effect("give an example that they accept, for every variable", () =>
    Effect.gen(function* () {
      const refused = yield* refusal(allWrong)
      const examples = refused.problems.map(({ name, problem }) => [name, problem.split(`${name}=`)[1] ?? ""] as const)
      // Those of secrets are commands for a shell, which would put what it prints in its place.
      const pasted = Object.fromEntries(examples.filter(([, example]) => !example.includes("$(")))
      expect(Object.keys(pasted)).toHaveLength(wrong.length - 3)
      // What JWKS_URL asks for in production; any text will do, so none of theirs is refused with an example.
      yield* load({ ...pasted, JWT_ISSUER: "https://issuer.example", JWT_AUDIENCE: "gravitas" })
    })
  )

  it.effect("take an empty variable for an unset one", () =>
    Effect.gen(function* () {
      const empty = Object.fromEntries(wrong.map(([name], index) => [name, index % 2 === 0 ? "" : "  "]))
      expect(yield* load(empty)).toEqual(yield* load({}))
    })
  )

  it("know every variable for the reference, each once, with its room", () => {
    const names = variables.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(names).toEqual(expect.arrayContaining(wrong.map(([name]) => name)))
    expect(variables.filter(({ expected, example }) => expected === "" || example === "")).toEqual([])
  })

  it.effect("document a default that means what an unset variable means", () =>
    Effect.gen(function* () {
      const unset = yield* load({})
      for (const { default: text, name } of variables) {
        if (text === null) continue
        expect([name, yield* load({ [name]: text })]).toEqual([name, unset])
      }
    })
  )
})
