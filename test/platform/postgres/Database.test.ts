import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { type ServiceName, serviceNames } from "../../../src/domain/Service.ts"
import { Settings } from "../../../src/platform/config/Settings.ts"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { Database } from "../../../src/platform/postgres/Database.ts"
import { changed, closedPort, logged, secretUrl } from "../../support/platform/DatabaseServers.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

/** The layer as a process with these variables would build it, without an embedded PostgreSQL unless one is given. */
const databaseWith = (
  variables: Readonly<Record<string, string>>,
  services: ReadonlyArray<ServiceName> = serviceNames,
  embedded?: Redacted.Redacted
) => {
  const settings = Layer.provide(
    Settings.layer,
    Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))
  )
  return Effect.map(Layer.build(Layer.provide(Database.layer(services, embedded), settings)), (context) =>
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
      const database = yield* databaseWith({ ROUTER_DATABASE_URL: Redacted.value(named) }, serviceNames, embedded)
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
          Effect.timeout("20 seconds")
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
