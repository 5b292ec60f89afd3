import * as Net from "node:net"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { connect } from "../../src/platform/Connection.ts"
import { Database, type DatabaseUnreachable, waitUntilReachable } from "../../src/platform/Database.ts"
import { EmbeddedPostgres } from "../../src/platform/EmbeddedPostgres.ts"
import { Settings } from "../../src/platform/Settings.ts"
import { freshDatabase } from "../support/TestDatabase.ts"

/** Runs an effect and gives the log lines that it wrote beside its result. */
const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      lines.push(`${logLevel.label} ${Array.isArray(message) ? message.join(" ") : String(message)}`)
    })
    return effect.pipe(
      Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      Effect.map((result) => ({ result, lines }))
    )
  })

/** `url` with other parts. */
const changed = (url: Redacted.Redacted, change: (parts: URL) => void): Redacted.Redacted => {
  const parts = new URL(Redacted.value(url))
  change(parts)
  return Redacted.make(parts.href)
}

/** A TCP server until the scope closes; port 0 takes any free one. */
const listening = (port: number, onConnection: (socket: Net.Socket) => void) =>
  Effect.acquireRelease(
    Effect.async<{ readonly port: number; readonly close: () => void }>((resume) => {
      const sockets = new Set<Net.Socket>()
      const server = Net.createServer((socket) => {
        sockets.add(socket.on("error", () => {}))
        onConnection(socket)
      })
      server.listen(port, "127.0.0.1", () => {
        const address = server.address()
        const close = () => {
          for (const socket of sockets) socket.destroy()
          server.close()
        }
        resume(Effect.succeed({ port: typeof address === "object" && address !== null ? address.port : 0, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

/** A port on which nobody listens. */
const closedPort = Effect.scoped(
  Effect.map(
    listening(0, () => {}),
    ({ port }) => port
  )
)

const secretUrl = (port: number) => Redacted.make(`postgresql://app:hunter2@127.0.0.1:${port}/gravitas`)

const refusalOf = (url: Redacted.Redacted, deadline: Duration.DurationInput) =>
  Effect.map(
    Effect.timed(logged(Effect.flip(waitUntilReachable(url, Duration.decode(deadline))))),
    ([elapsed, { result, lines }]): {
      readonly error: DatabaseUnreachable
      readonly lines: ReadonlyArray<string>
      readonly millis: number
    } => ({ error: result, lines, millis: Duration.toMillis(elapsed) })
  )

describe("waitUntilReachable", () => {
  it.scopedLive("says nothing when the server answers at once", () =>
    Effect.gen(function* () {
      const { lines } = yield* logged(waitUntilReachable(yield* freshDatabase, Duration.seconds(10)))
      expect(lines).toEqual([])
    })
  )

  it.live("tries an absent server until the deadline, with a line per attempt, and never shows the password", () =>
    Effect.gen(function* () {
      const port = yield* closedPort
      const { error, lines, millis } = yield* refusalOf(secretUrl(port), "1200 millis")
      expect(millis).toBeGreaterThanOrEqual(1200)
      expect(millis).toBeLessThan(2200)
      // Pauses of 200, 400 and what is left of 800 ms.
      expect(lines).toHaveLength(3)
      lines.forEach((line, index) => {
        expect(line).toContain(`WARN PostgreSQL is not reachable at postgresql://app@127.0.0.1:${port}/gravitas`)
        expect(line).toContain(`(attempt ${index + 1}: connect ECONNREFUSED 127.0.0.1:${port}); trying again in `)
      })
      expect(error._tag).toBe("DatabaseUnreachable")
      expect(error.attempts).toBe(4)
      expect(error.message).toContain(`cannot connect to postgresql://app@127.0.0.1:${port}/gravitas`)
      expect(error.message).toContain("DATABASE_URL")
      expect(error.message).toContain("DATABASE_CONNECT_DEADLINE")
      expect([...lines, error.message, JSON.stringify(error), String(error)].join()).not.toContain("hunter2")
    })
  )

  it.scopedLive("counts the time that its attempts take, not only the pauses between them", () =>
    Effect.gen(function* () {
      const silent = yield* listening(0, (socket) => socket.resume())
      const { error, millis } = yield* refusalOf(secretUrl(silent.port), "1 second")
      expect(millis).toBeGreaterThanOrEqual(1000)
      expect(millis).toBeLessThan(2000)
      expect(error.cause).toMatchObject({ phase: "connect" })
      expect(error.waited).toMatch(/^1s/)
    })
  )

  it.scopedLive("goes on as soon as a server that was away is there", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const target = new URL(Redacted.value(url))
      const port = yield* closedPort
      const arrival = listening(port, (socket) => {
        const server = Net.connect({ host: target.hostname, port: Number(target.port || 5432) }).on("error", () => {})
        socket.pipe(server)
        server.pipe(socket)
      })
      yield* Effect.forkScoped(Effect.zipRight(Effect.sleep("450 millis"), Effect.zipRight(arrival, Effect.never)))
      const proxied = changed(url, (parts) => {
        parts.hostname = "127.0.0.1"
        parts.port = String(port)
      })
      const [elapsed, { lines }] = yield* Effect.timed(logged(waitUntilReachable(proxied, Duration.seconds(20))))
      expect(lines.length).toBeGreaterThanOrEqual(2)
      expect(Duration.toMillis(elapsed)).toBeLessThan(3000)
    })
  )

  it.scopedLive(
    "fails at once where waiting does not help: a wrong password, an unknown role, an absent database",
    () =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
        const cases: ReadonlyArray<readonly [sqlstate: RegExp, change: (parts: URL) => void]> = [
          [/^28P01$/, (parts) => Object.assign(parts, { password: "hunter2" })],
          [/^28/, (parts) => Object.assign(parts, { username: "nobody_here", password: "hunter2" })],
          [/^3D000$/, (parts) => Object.assign(parts, { pathname: "/nothing_here" })]
        ]
        for (const [sqlstate, change] of cases) {
          const { error, lines, millis } = yield* refusalOf(changed(url, change), "30 seconds")
          expect(error.cause.sqlstate).toMatch(sqlstate)
          expect(error.attempts).toBe(1)
          expect(lines).toEqual([])
          expect(millis).toBeLessThan(3000)
          expect(error.message).not.toContain("hunter2")
        }
      })
  )
})

/** The layer as a process with these variables would build it, without an embedded PostgreSQL unless one is given. */
const databaseWith = (
  variables: Readonly<Record<string, string>>,
  services: Parameters<typeof Database.layer>[0] = ["gatekeeper", "guardian", "router"]
) => {
  const settings = Layer.provide(
    Settings.layer,
    Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))
  )
  return Effect.map(Layer.build(Layer.provide(Database.layer(services), settings)), (context) =>
    Context.get(context, Database)
  )
}

describe("Database", () => {
  it.scopedLive("gives services with the same connection string one pool, and others their own", () =>
    Effect.gen(function* () {
      const common = yield* freshDatabase
      const routers = yield* freshDatabase
      const database = yield* databaseWith({
        DATABASE_URL: Redacted.value(common),
        ROUTER_DATABASE_URL: Redacted.value(routers)
      })
      expect(database.pool("gatekeeper")).toBe(database.pool("guardian"))
      expect(database.pool("router")).not.toBe(database.pool("gatekeeper"))
      const nameOf = (url: Redacted.Redacted) => new URL(Redacted.value(url)).pathname.slice(1)
      for (const [service, url] of [["guardian", common] as const, ["router", routers] as const]) {
        const sql = database.pool(service)
        expect(yield* sql`select current_database() as name`).toEqual([{ name: nameOf(url) }])
        expect(database.address(service)).toContain(`/${nameOf(url)}`)
        const { password } = new URL(Redacted.value(url))
        if (password !== "") expect(database.address(service)).not.toContain(password)
      }
    })
  )

  it.scopedLive("gives the migration connection string apart from the application's", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const owner = changed(url, (parts) => parts.searchParams.set("application_name", "owner"))
      const database = yield* databaseWith(
        { DATABASE_URL: Redacted.value(url), GATEKEEPER_MIGRATION_DATABASE_URL: Redacted.value(owner) },
        ["gatekeeper", "guardian"]
      )
      expect(database.url("gatekeeper", "application")).toEqual(url)
      expect(database.url("gatekeeper", "migration")).toEqual(owner)
      expect(database.url("guardian", "migration")).toEqual(url)
    })
  )

  it.scopedLive("uses the embedded PostgreSQL for a service whose connection is not named", () =>
    Effect.gen(function* () {
      const embedded = yield* freshDatabase
      const named = yield* freshDatabase
      const database = yield* databaseWith({ ROUTER_DATABASE_URL: Redacted.value(named) }).pipe(
        Effect.provideService(EmbeddedPostgres, {
          url: embedded,
          version: "18.4",
          port: 5432,
          dataDirectory: "data",
          binaries: "binaries",
          ownership: "started",
          notes: []
        })
      )
      expect(database.url("gatekeeper", "application")).toEqual(embedded)
      expect(database.url("gatekeeper", "migration")).toEqual(embedded)
      expect(database.url("router", "application")).toEqual(named)
    })
  )

  it.scopedLive("survives the loss of every idle connection of a pool, and closes all with the scope", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const observer = yield* connect({ url, applicationName: "test observer" })
      const others = "from pg_catalog.pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
      yield* Effect.scoped(
        Effect.gen(function* () {
          const sql = (yield* databaseWith({ DATABASE_URL: Redacted.value(url) })).pool("gatekeeper")
          const wide = Effect.all(
            Array.from({ length: 4 }, () => sql`select pg_sleep(0.05)`),
            { concurrency: 4 }
          )
          yield* wide
          expect((yield* observer.query(`select pg_terminate_backend(pid) ${others}`)).rowCount).toBe(4)
          yield* Effect.sleep("50 millis")
          yield* wide
        })
      )
      yield* observer
        .query(`select ${others}`)
        .pipe(
          Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: ({ rowCount }) => rowCount === 0 }),
          Effect.timeout("3 seconds")
        )
    })
  )

  it.live("is not built when a server stays away", () =>
    Effect.gen(function* () {
      const { result } = yield* logged(
        Effect.flip(
          Effect.scoped(
            databaseWith({
              DATABASE_URL: Redacted.value(secretUrl(yield* closedPort)),
              DATABASE_CONNECT_DEADLINE: "300ms"
            })
          )
        )
      )
      expect(result._tag).toBe("DatabaseUnreachable")
    })
  )
})
