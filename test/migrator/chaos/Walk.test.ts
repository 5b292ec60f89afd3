import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import { Target } from "../../../src/migrator/plan/Target.ts"
import { Repair, repair } from "../../../src/migrator/recover/Repair.ts"
import {
  ask,
  environment,
  migrateRouter,
  migrationsOf,
  quiet,
  revision,
  tableA
} from "../../support/migrator/Fixture.ts"
import { router } from "../../support/migrator/Services.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"
import { moves, walk } from "./Walk.ts"

describe("a session that ends between a concurrent drop and its record", () => {
  it.scopedLive("is resolved by the next run and by repair, since the catalog shows that the index is gone", () =>
    Effect.gen(function* () {
      for (const remedy of ["run", "repair"] as const) {
        const url = yield* freshDatabase
        const index = revision(
          "create index concurrently a_id on router.a (id);",
          "drop index concurrently router.a_id;",
          " transaction:false"
        ).replace("migrate:down", "migrate:down transaction:false")
        const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA, "router/0002_index.sql": index })
        yield* migrateRouter(url, migrations)
        yield* ask(url, "drop index router.a_id")
        yield* ask(
          url,
          "update router.schema_history set state = 'reverting', steps_done = 0, steps_begun = 1 where revision = 2"
        )
        if (remedy === "repair") {
          const environs = environment({ url, migrations, services: ["router"] })
          yield* Effect.provide(repair(router, Repair.Retry()), [environs, quiet])
        } else {
          yield* migrateRouter(url, migrations, Target.DownTo({ number: 1, slug: null }))
        }
        expect([remedy, yield* ask(url, "select name from router.schema_version")]).toEqual([
          remedy,
          [{ name: "0001_a" }]
        ])
      }
    })
  )
})

describe("a random walk of upgrades, downgrades, kills, edits and repairs", () => {
  it("never makes history and catalog differ, and upgrade and repair alone lead back to head", async () => {
    const property = FastCheck.asyncProperty(moves, async (path) => {
      const problems = await Effect.runPromise(Effect.scoped(Effect.flatMap(freshDatabase, (url) => walk(url, path))))
      expect(problems).toEqual([])
    })
    await FastCheck.assert(property, { seed: 20_261_123, numRuns: 12, endOnFailure: false })
  }, 120_000)
})
