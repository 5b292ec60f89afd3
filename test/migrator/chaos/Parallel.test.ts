import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { migrate } from "../../../src/migrator/apply/Migrate.ts"
import { Target } from "../../../src/migrator/plan/Target.ts"
import {
  ask,
  environment,
  eventsOf,
  migrateRouter,
  migrationsOf,
  quiet,
  revision,
  tableA,
  tablesOf
} from "../../support/migrator/Fixture.ts"
import { servicesByName } from "../../support/migrator/Services.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

describe("two services on one database", () => {
  it.scopedLive("migrate at the same time: neither waits for the other's lock", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      // Each of the two ends only after both have seen the other running.
      const meets = (own: string, other: string) =>
        revision(`create table ${own}.t ();
do $$
begin
  for attempt in 1..500 loop
    perform pg_stat_clear_snapshot();
    exit when exists (
      select from pg_stat_activity where datname = current_database() and state = 'active'
        and application_name like 'gravitas migrate ${other} %'
    );
    perform pg_sleep(0.01);
    if attempt = 500 then raise exception 'alone'; end if;
  end loop;
  perform pg_sleep(0.3);
end
$$;`)
      const migrations = yield* migrationsOf({
        "guardian/0001_t.sql": meets("guardian", "router"),
        "router/0001_t.sql": meets("router", "guardian")
      })
      const run = (service: "guardian" | "router") => Effect.fork(migrate(servicesByName[service], Target.Head()))
      const outcomes = yield* Effect.flatMap(Effect.all([run("guardian"), run("router")]), Fiber.joinAll).pipe(
        Effect.provide([environment({ url, migrations }), quiet])
      )
      expect(outcomes.map(({ to }) => to)).toEqual(["0001_t", "0001_t"])
    })
  )
})

describe("a lower revision that is merged late", () => {
  it.scopedLive("stops the run before anything is changed, and names the command that fixes it (exit 5)", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const merged = { "router/0001_a.sql": tableA, "router/0002_mine.sql": revision("create table router.mine ();") }
      yield* migrateRouter(url, yield* migrationsOf(merged))
      // Another branch used the same number and was merged first.
      const late = yield* migrationsOf({
        "router/0001_a.sql": tableA,
        "router/0002_theirs.sql": revision("create table router.theirs ();"),
        "router/0003_mine.sql": merged["router/0002_mine.sql"]
      })
      const refusal = yield* Effect.flip(migrateRouter(url, late))
      expect(refusal).toMatchObject({ exitCode: 5 })
      expect(refusal.message).toContain("renumber")
      expect(yield* tablesOf(url, "router")).toEqual(["a", "mine"])
      expect(yield* eventsOf(url)).toEqual(["prepared", "applied a", "applied mine"])
      expect(yield* ask(url, "select name from router.schema_version")).toEqual([{ name: "0002_mine" }])
    })
  )
})
