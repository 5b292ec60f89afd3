import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { inspect } from "node:util"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import Pg from "pg"
import * as AllSettings from "../../../src/app/AllSettings.ts"
import { AuthenticatedClient } from "../../../src/platform/postgres/AuthenticatedClient.ts"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { Database } from "../../../src/platform/postgres/Database.ts"
import { changed } from "../../support/platform/DatabaseServers.ts"
import { type FakePostgres, fakePostgres, type Question } from "../../support/platform/FakePostgres.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const urlOf = ({ port }: FakePostgres, parameters = "") =>
  Redacted.make(`postgresql://app:hunter2@127.0.0.1:${port}/gravitas${parameters}`)

const settingsOf = (variables: Readonly<Record<string, string>>) =>
  AllSettings.layer.pipe(
    Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables)))))
  )

/** A production without secrets of its own cannot start, but its settings can be read. */
const production = { NODE_ENV: "production" }

const attempt = (url: Redacted.Redacted, variables: Readonly<Record<string, string>>) =>
  connect({ url, applicationName: "test", connectTimeout: "5 seconds" }).pipe(
    Effect.scoped,
    Effect.provide(settingsOf(variables)),
    Effect.either
  )

const questions: ReadonlyArray<Question> = ["clear text", "md5", "nothing", "SCRAM, and gives up on it"]

describe("a session", () => {
  for (const patient of [true, false]) {
    it.scopedLive(
      `never sends the password in clear text, ${patient ? "however long" : "nor is let in without it"}`,
      () =>
        Effect.gen(function* () {
          const fake = yield* fakePostgres({ asks: "clear text", patient })
          for (const variables of [{}, { DATABASE_AUTH: "scram,md5" }, production]) {
            const error = yield* Effect.flip(Effect.flatten(attempt(urlOf(fake), variables)))
            expect(error).toMatchObject({ phase: "connect", sqlstate: "28000", refused: true })
            expect(error.message).toContain("scram-sha-256")
          }
          expect(fake.connections()).toBe(3)
          expect(fake.heard).toEqual([])
        })
    )
  }

  it.scopedLive.each([
    ["13.23 (Debian 13.23-1.pgdg120+1)", false],
    ["9.6.24", false],
    ["14.0", true],
    ["18beta1", true]
  ] as const)("with a server of version %s is opened: %s", ([version, isOpened]) =>
    Effect.gen(function* () {
      const fake = yield* fakePostgres({ asks: "nothing", version })
      const outcome = yield* attempt(urlOf(fake), {})
      if (isOpened) return expect(outcome._tag).toBe("Right")
      const reason = `Gravitas needs PostgreSQL 14 or later, and the server there is ${version}`
      expect(outcome).toMatchObject({ left: { sqlstate: "0A000", reason, refused: true } })
    })
  )

  it.scopedLive.each([
    [{}, true],
    [{ DATABASE_AUTH: "scram" }, false],
    [production, false],
    [{ ...production, DATABASE_AUTH: "scram,md5" }, true]
  ] as const)("with %j sends an MD5 hash of the password: %s", ([variables, isSent]) =>
    Effect.gen(function* () {
      const fake = yield* fakePostgres({ asks: "md5", patient: true })
      const outcome = yield* attempt(urlOf(fake), variables)
      expect(outcome._tag).toBe(isSent ? "Right" : "Left")
      expect(fake.heard.some((text) => /^p.{4}md5[0-9a-f]{32}/s.test(text))).toBe(isSent)
      expect(fake.heard.join()).not.toContain("hunter2")
      if (outcome._tag === "Left") expect(outcome.left.message).toContain("DATABASE_AUTH=scram,md5")
    })
  )

  it.scopedLive("in production sends an MD5 hash over TLS whose certificate is verified, and not over another's", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryHome
      const [key, cert] = [join(directory, "key.pem"), join(directory, "cert.pem")]
      const words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
      const names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert]
      execFileSync("openssl", [...words.split(" "), ...names], { stdio: "ignore" })
      const tls = { key: readFileSync(key), cert: readFileSync(cert) }
      const fake = yield* fakePostgres({ asks: "md5", patient: true, tls })
      const unverified = yield* attempt(urlOf(fake, "?sslmode=no-verify"), production)
      expect(unverified).toHaveProperty("left.sqlstate", "28000")
      expect(fake.heard).toEqual([])
      const verified = yield* attempt(urlOf(fake, `?sslmode=verify-full&sslrootcert=${cert}`), production)
      expect(verified._tag).toBe("Right")
      expect(fake.heard.join()).toContain("md5")
    })
  )

  it.scopedLive("with require_auth=scram-sha-256 is refused by any server that does not prove itself", () =>
    Effect.gen(function* () {
      for (const asks of questions) {
        for (const patient of [true, false]) {
          if (asks === "nothing" && patient) continue
          const fake = yield* fakePostgres({ asks, patient })
          const outcome = yield* attempt(urlOf(fake, "?require_auth=scram-sha-256"), { DATABASE_AUTH: "scram,md5" })
          expect([asks, outcome]).toMatchObject([asks, { left: { phase: "connect", sqlstate: "28000" } }])
          // A first message of SCRAM holds a nonce, and nothing of the password.
          expect(fake.heard.filter((text) => !text.includes("SCRAM-SHA-256"))).toEqual([])
        }
      }
    })
  )

  it.scopedLive("without it accepts a server that asks for nothing, as one does that trusts its network", () =>
    Effect.gen(function* () {
      const fake = yield* fakePostgres({ asks: "nothing" })
      expect((yield* attempt(urlOf(fake), production))._tag).toBe("Right")
    })
  )

  it.scopedLive("with it opens on a server that knows the password, in sessions and in the pool", () =>
    Effect.gen(function* () {
      const url = changed(yield* freshDatabase, ({ searchParams }) => {
        searchParams.set("require_auth", "scram-sha-256")
      })
      const session = yield* connect({ url, applicationName: "test" })
      expect((yield* session.query("select 1 as one")).rows).toEqual([{ one: 1 }])
    })
  )
})

describe("the pool", () => {
  it.scopedLive(
    "opens on a server that proves itself, and has no listener, which the driver's own client would connect",
    () =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
        const layer = Database.layer(["router"]).pipe(
          Layer.provide(settingsOf({ ...production, DATABASE_URL: Redacted.value(url) }))
        )
        const pool = Context.get(yield* Layer.build(layer), Database).pool("router")
        expect(yield* pool`select 1 as one`).toEqual([{ one: 1 }])
        const listening = yield* Effect.exit(Stream.runDrain(pool.listen("channel")))
        expect(String(listening)).toContain("AuthenticatedClient")
      })
  )

  it.scopedLive("sends no password to a server that asks for it in clear text", () =>
    Effect.gen(function* () {
      const fake = yield* fakePostgres({ asks: "clear text" })
      const options = { connectionString: Redacted.value(urlOf(fake)), Client: AuthenticatedClient, md5: true }
      const attempts = Effect.promise(() => new Pg.Pool(options).connect().catch(String))
      expect(yield* attempts).toContain("clear text")
      expect(fake.heard).toEqual([])
    })
  )

  it.scopedLive("is never opened on a server that asks for the password in clear text", () =>
    Effect.gen(function* () {
      const fake = yield* fakePostgres({ asks: "clear text" })
      const layer = Database.layer(["router"]).pipe(
        Layer.provide(settingsOf({ DATABASE_URL: Redacted.value(urlOf(fake)) }))
      )
      const error = yield* Effect.flip(Layer.build(layer))
      expect(error).toMatchObject({ attempts: 1 })
      expect(error.message).toContain("clear text")
      expect(fake.heard).toEqual([])
    })
  )
})

describe("an error of the server", () => {
  it.scopedLive("holds no value of a row in any of its fields, so that a defect brings none into a log", () =>
    Effect.gen(function* () {
      const connectionString = Redacted.value(yield* freshDatabase)
      const client = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const client = new AuthenticatedClient({ connectionString, md5: true })
          await client.connect()
          await client.query("create temporary table badge (id int primary key, name varchar(9))")
          await client.query("insert into badge values (4711, 'n')")
          return client
        }),
        (client) => Effect.promise(() => client.end())
      )
      for (const [text, code] of [
        ["select 'a 4711\"x'::int", "22P02"],
        [`select '{"a": 4711x}'::jsonb`, "22P02"],
        ["select '4711-99-99'::date", "22008"],
        ["insert into badge values (4711, 'n')", "23505"]
      ] as const) {
        const thrown = yield* Effect.flip(Effect.tryPromise({ try: () => client.query(text), catch: (cause) => cause }))
        expect(thrown).toMatchObject({ code })
        const shown =
          inspect(thrown, { depth: 9, showHidden: true }) + Cause.pretty(Cause.die(thrown), { renderErrorCause: true })
        expect(shown).toMatch(/"…"|type json|badge_pkey/)
        expect(shown).not.toContain("4711")
      }
    })
  )
})
