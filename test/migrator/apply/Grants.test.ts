import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { grantGroup } from "../../../src/migrator/apply/Grants.ts"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { ask, environment, migrateRouter, migrationsOf, quiet } from "../../support/migrator/Fixture.ts"
import { project } from "../../support/Program.ts"
import { testPostgres } from "../../support/TestPostgres.ts"

describe("starts with the roles of docs/roles.sql", { timeout: 60_000 }, () => {
  it.scopedLive("grant one after the other: one of eight grants, and the others find nothing missing", () =>
    Effect.gen(function* () {
      const { url } = yield* testPostgres()
      yield* ask(url, yield* Effect.promise(() => readFile(join(project, "docs/roles.sql"), "utf8")))
      const files = yield* Effect.forEach(["0001_history.sql", "0002_application_role.sql"], (name) =>
        Effect.promise(async () => [`router/${name}`, await readFile(join(project, "migrations/router", name), "utf8")])
      )
      yield* migrateRouter(url, yield* migrationsOf(Object.fromEntries(files)))
      const askers = yield* Effect.all(
        Array.from({ length: 8 }, () => connect({ url, applicationName: "gravitas test" }))
      )
      for (let round = 0; round < 5; round++) {
        const given = yield* Effect.forEach(askers, (asker) => grantGroup("router", asker), {
          concurrency: "unbounded"
        }).pipe(Effect.provide([environment({ url, services: ["router"] }), quiet]))
        expect(given.filter((grants) => grants.length > 0)).toHaveLength(1)
        expect(yield* ask(url, "select * from router.missing_grants('gravitas_router')")).toEqual([])
        yield* ask(
          url,
          `revoke all on all tables in schema router from gravitas_router; revoke all on all functions in schema router from gravitas_router;
           revoke all on schema router from gravitas_router`
        )
      }
    })
  )
})
