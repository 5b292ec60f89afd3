import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { ask, migrateRouter, migrationsOf, revision } from "../../support/migrator/Fixture.ts"
import { skipBecause } from "../../support/SkipBecause.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

describe("timeouts that the database sets for all roles", () => {
  for (const timeout of ["statement_timeout", "transaction_timeout"]) {
    it.scopedLive(`do not end a revision: ${timeout}`, (context) =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
        const known = yield* ask(url, "select from pg_catalog.pg_settings where name = $1", [timeout])
        if (known.length === 0)
          skipBecause(context, `the server has no ${timeout}; PostgreSQL 17 was the first to have it`)
        const name = new URL(Redacted.value(url)).pathname.slice(1)
        yield* ask(url, `alter database "${name}" set ${timeout} = '50ms'`)
        const slow = "select pg_catalog.pg_sleep(0.2);\nselect pg_catalog.pg_sleep(0.2);"
        const migrations = yield* migrationsOf({
          "router/0001_slow.sql": revision(slow),
          "router/0002_alone.sql": revision(slow, "select 1;", " transaction:false")
        })
        expect((yield* migrateRouter(url, migrations)).to).toBe("0002_alone")
      })
    )
  }
})
