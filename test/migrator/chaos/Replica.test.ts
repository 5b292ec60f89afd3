import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { EmbeddedPostgres } from "../../../src/embedded-postgres/EmbeddedPostgres.ts"
import { routerSchema } from "../../../src/router/RouterSchema.ts"
import { ask, environment, migrateRouter, migrationsOf, quiet, tableA, write } from "../../support/migrator/Fixture.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"
import { testSettings } from "../../support/TestPostgres.ts"

describe("a replica", () => {
  it.scopedLive(
    "is refused by a command and by a start before any other statement, also at head (exit 9)",
    () =>
      Effect.gen(function* () {
        const home = yield* temporaryHome
        const layer = EmbeddedPostgres.layer({ home, join: false, settings: testSettings })
        const server = Effect.map(Layer.build(layer), (context) => Context.get(context, EmbeddedPostgres))
        const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
        const start = (url: Parameters<typeof migrateRouter>[0], mode: string) =>
          Layer.build(Layer.discard(routerSchema.layer)).pipe(
            Effect.scoped,
            Effect.provide([
              environment({ url, migrations, services: ["router"], variables: { MIGRATE_ON_START: mode } }),
              quiet
            ])
          )
        const primary = Effect.gen(function* () {
          const { dataDirectory, url } = yield* server
          yield* migrateRouter(url, migrations)
          return dataDirectory
        }).pipe(Effect.scoped, Effect.provide(quiet))
        const dataDirectory = yield* primary
        // From now on this cluster is a hot standby that waits for a primary's records.
        yield* Effect.promise(() => writeFile(join(dataDirectory, "standby.signal"), ""))

        const { url } = yield* Effect.provide(server, quiet)
        expect(yield* ask(url, "select pg_is_in_recovery() as replica")).toEqual([{ replica: true }])
        const refused = { _tag: "DatabaseIsReplica", exitCode: 9 }
        expect(yield* Effect.flip(start(url, "upgrade"))).toMatchObject(refused)
        expect(yield* Effect.flip(start(url, "verify"))).toMatchObject(refused)
        yield* write(migrations, { "router/0002_b.sql": tableA.replaceAll("router.a", "router.b") })
        const refusal = yield* Effect.flip(migrateRouter(url, migrations))
        expect(refusal).toMatchObject(refused)
        expect(refusal.message).toContain("ROUTER_MIGRATION_DATABASE_URL at the primary")
      }),
    60_000
  )
})
