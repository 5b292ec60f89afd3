import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { compareCatalogs, readCatalog } from "../../../src/migrator/inspect/CatalogSnapshot.ts"
import { showDifference } from "../../../src/migrator/inspect/ShownDifference.ts"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

/** Each statement, and the expected differences in the catalog without the owner's own privileges. */
const changes: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
  ['alter table app.a add column note text collate "C"', ["+ column app.a.note"]],
  ["alter table app.a alter column name type varchar(20)", ["~ column app.a.name"]],
  ["alter table app.a alter column name set default 'x'", ["~ column app.a.name"]],
  ["alter table app.a add constraint a_name check (name <> '')", ["+ constraint a_name on app.a"]],
  ["create index a_name on app.a (name)", ["+ index app.a_name"]],
  ["drop index app.a_by_name", ["- index app.a_by_name"]],
  ["create unlogged table app.b ()", ["+ table app.b"]],
  ["create or replace view app.v as select id, 1 as one from app.a", ["+ column app.v.one", "~ view app.v"]],
  ["create materialized view app.m as select 1 as one", ["+ column app.m.one", "+ materialized view app.m"]],
  ["create sequence app.s", ["+ sequence app.s"]],
  [
    "create function app.g() returns int language sql as 'select 1'",
    ["+ function app.g()", "+ privileges of public on function app.g()"]
  ],
  ["create or replace function app.f() returns int language sql as 'select 2'", ["~ function app.f()"]],
  ["create trigger t2 after insert on app.a execute function app.touch()", ["+ trigger t2 on app.a"]],
  ["alter table app.a disable trigger t1", ["~ trigger t1 on app.a"]],
  ["create type app.mood as enum ('good')", ["+ enum app.mood"]],
  [
    "create domain app.short as text check (length(value) < 9)",
    ["+ constraint short_check on app.short", "+ domain app.short"]
  ],
  ["grant select on app.a to pg_monitor", ["+ privileges of pg_monitor on relation app.a"]],
  ["grant update (name) on app.a to pg_monitor", ["+ privileges of pg_monitor on column app.a.name"]],
  ["revoke execute on function app.f() from public", ["- privileges of public on function app.f()"]],
  [
    "alter default privileges in schema app grant select on tables to public",
    ["+ default privileges of OWNER on r in app"]
  ],
  ["comment on column app.a.name is 'who'", ["+ comment on table column app.a.name"]],
  ["alter table app.a enable row level security", ["~ table app.a"]],
  ["alter table app.a owner to pg_monitor", ["+ privileges of pg_monitor on relation app.a", "~ table app.a"]],
  ["create policy p on app.a using (true)", ["+ policy p on app.a"]],
  ["create statistics app.st on id, name from app.a", ["+ statistics app.st"]],
  ["create table app.part partition of app.log for values in (1)", ["+ column app.part.kind", "+ table app.part"]],
  ["create schema other", ["+ schema other"]],
  ["create extension pgcrypto with schema app", ["+ comment on extension pgcrypto", "+ extension pgcrypto"]],
  ["create cast (app.pair as text) with inout", ["+ cast (app.pair AS pg_catalog.text)"]]
]

describe("a snapshot of the catalog", { timeout: 30_000 }, () => {
  it.scopedLive("shows each kind of change as an addition, a removal or an alteration", () =>
    Effect.gen(function* () {
      const connection = yield* connect({ url: yield* freshDatabase, applicationName: "gravitas test" })
      yield* connection.query(`
        create schema app;
        create table app.a (id int primary key, name text);
        create index a_by_name on app.a (name);
        create view app.v as select id from app.a;
        create function app.f() returns int language sql as 'select 1';
        create function app.touch() returns trigger language plpgsql as 'begin return null; end';
        create trigger t1 after insert on app.a execute function app.touch();
        create table app.log (kind int) partition by list (kind);
        create type app.pair as (a int, b int);
        set search_path = ''`)
      const before = yield* readCatalog(connection)
      const owner = String((yield* connection.query("select current_user as name")).rows[0]?.["name"])
      for (const [statement, expected] of changes) {
        yield* connection.query(`begin; ${statement}`)
        const found = compareCatalogs(before, yield* readCatalog(connection))
        yield* connection.query("rollback")
        const lines = found
          .map(showDifference)
          .filter(
            (line) => !line.startsWith(`+ privileges of ${owner} `) && !line.startsWith(`- privileges of ${owner} `)
          )
        expect(
          lines.map((line) => line.split("\n")[0]?.replace(`of ${owner} on`, "of OWNER on")),
          statement
        ).toEqual(expected)
      }
      expect(compareCatalogs(before, yield* readCatalog(connection))).toEqual([])
    })
  )

  it.scopedLive("is the same for two databases with the same schema", () =>
    Effect.gen(function* () {
      const read = Effect.gen(function* () {
        const connection = yield* connect({ url: yield* freshDatabase, applicationName: "gravitas test" })
        yield* connection.query(
          "create schema app; create table app.a (id serial primary key, at timestamptz default now()); set search_path = ''"
        )
        return yield* readCatalog(connection)
      })
      const [one, other] = [yield* read, yield* read]
      expect(one.size).toBeGreaterThan(5)
      expect(compareCatalogs(one, other)).toEqual([])
    })
  )
})
