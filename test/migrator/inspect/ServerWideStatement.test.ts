import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { parseRevision } from "../../../src/migrator/files/RevisionFile.ts"
import { serverReachOf } from "../../../src/migrator/inspect/ServerWideStatement.ts"
import { revision } from "../../support/migrator/Fixture.ts"

const reachOf = (up: string, file = "0001_a.sql") =>
  Effect.flatMap(Effect.orDie(parseRevision("router", file, file.endsWith("ts") ? up : revision(up))), (parsed) =>
    serverReachOf([parsed])
  )

const block = (body: string) => `do $$ declare name text; begin ${body} end $$;`
const made = "cannot be known: it runs statements that it makes while it runs (execute)"

/** Statements that act on more than their database, and what is said of them. */
const reaching: ReadonlyArray<readonly [sql: string, what: string]> = [
  ["create role a;", "creates a role"],
  ["create user a in role b;", "creates a role"],
  ["alter role a createdb;", "changes a role"],
  ["alter role a set work_mem = '1MB';", "changes the settings of a role"],
  ["drop role if exists a;", "drops a role"],
  ["grant a to b;", "grants or revokes membership in a role"],
  ["drop owned by a;", "drops what a role owns and its privileges on databases (drop owned)"],
  ["reassign owned by a to b;", "gives what a role owns to another (reassign owned)"],
  ["alter role a rename to b;", "acts on a role"],
  ["comment on role a is 'x';", "acts on a role"],
  ["security label on role a is 'x';", "acts on a role"],
  ["create database a;", "creates a database"],
  ["drop database a;", "drops a database"],
  ["alter database a set work_mem = '1MB';", "changes the settings of a database"],
  ["alter database a rename to b;", "acts on a database"],
  ["alter database a owner to b;", "acts on a database"],
  ["grant connect on database a to b;", "acts on a database"],
  ["create tablespace a location '/x';", "creates a tablespace"],
  ["drop tablespace a;", "drops a tablespace"],
  ["grant create on tablespace a to b;", "acts on a tablespace"],
  ["alter system set work_mem = '1MB';", "changes the configuration of the server (alter system)"],
  ["grant set on parameter work_mem to a;", "acts on a parameter of the server"],
  ["create subscription s connection 'x' publication p;", "creates a subscription"],
  ["alter subscription s disable;", "changes a subscription"],
  ["drop subscription s;", "drops a subscription"],
  ["comment on subscription s is 'x';", "acts on a subscription"],
  ["create server s foreign data wrapper postgres_fdw;", "reaches another server (create server)"],
  ["import foreign schema a from server s into router;", "reaches another server (import foreign schema)"],
  ["copy router.a to program 'rm x';", "runs a program on the server (copy)"],
  ["copy router.a from '/x';", "uses a file of the server (copy)"],
  ["select pg_catalog.pg_reload_conf();", "calls pg_reload_conf"],
  ["select pg_terminate_backend(pid) from pg_stat_activity;", "calls pg_terminate_backend"],
  ["select pg_create_logical_replication_slot('a', 'pgoutput');", "calls pg_create_logical_replication_slot"],
  ["select public.dblink_exec('dbname=other', 'drop table a');", "calls dblink_exec"],
  ["update pg_catalog.pg_database set datistemplate = true;", "writes to pg_database"],
  // Within bodies.
  [block("if true then create role a; end if;"), "creates a role"],
  [block("execute 'create role a';"), "creates a role"],
  [block("execute format('create role %I', name);"), "creates a role"],
  [block("execute 'alter role ' || quote_ident(name) || ' createdb';"), "changes a role"],
  [block("name := pg_reload_conf()::text;"), "calls pg_reload_conf"],
  [block("for name in select pg_switch_wal() loop null; end loop;"), "calls pg_switch_wal"],
  [block("begin null; exception when others then drop role a; end;"), "drops a role"],
  [block("execute $q$ do $r$ begin create role a; end $r$ $q$;"), "creates a role"],
  ["create function router.f() returns void language plpgsql as $$ begin create role a; end $$;", "creates a role"],
  ["create function router.f() returns void language sql as 'create role a';", "creates a role"],
  [
    "create function router.f() returns bool language sql begin atomic select pg_reload_conf(); end;",
    "calls pg_reload_conf"
  ],
  ["create rule r as on insert to router.a do also select pg_reload_conf();", "calls pg_reload_conf"],
  // What cannot be read.
  [block("execute name;"), made],
  [block("execute format('%s', name);"), made],
  [block("execute 'drop ' || name;"), made],
  [block("for name in execute name loop null; end loop;"), made],
  ["do language plperl 'x';", "cannot be known: a body in the language plperl"]
]

const staying: ReadonlyArray<string> = [
  "create table router.a (); grant select on router.a to a; alter table router.a owner to b;",
  "alter default privileges in schema router grant select on tables to a;",
  "create policy p on router.a to a; create publication p; create event trigger e on ddl_command_end execute function router.f();",
  "insert into router.pg_database values (1); comment on table router.a is 'role';",
  "copy router.a to stdout; set role a; set session authorization a; vacuum router.a;",
  block("perform pg_advisory_xact_lock(1); execute format('create table router.%I ()', name);"),
  block("execute 'drop table ' || 'router.a'::regclass || format(' %s', 'cascade');"),
  "create function router.f() returns void language plpgsql as $$ begin update router.a set n = 1; end $$;"
]

describe("what revisions do beyond their database", () => {
  it.effect("is found in statements, and in the bodies that they run or define", () =>
    Effect.gen(function* () {
      const found = yield* Effect.forEach(reaching, ([sql]) => reachOf(sql))
      expect(found.map(({ findings }, index) => [reaching[index]?.[0], findings[0]])).toEqual(
        reaching.map(([sql, what]) => [sql, `0001_a.sql:2: ${what}`])
      )
    })
  )

  it.effect("is not found in statements that stay in it", () =>
    Effect.gen(function* () {
      const found = yield* Effect.forEach(staying, (sql) => reachOf(sql))
      expect(found.map(({ findings }, index) => [staying[index], findings])).toEqual(staying.map((sql) => [sql, []]))
    })
  )

  it.effect("cannot be known of a data revision", () =>
    Effect.gen(function* () {
      expect((yield* reachOf("export default 1", "0001_a.ts")).findings).toEqual([
        "0001_a: cannot be known: a data revision is a program"
      ])
    })
  )

  it.effect("names the roles that are used before they are created", () =>
    Effect.gen(function* () {
      const { roles } = yield* reachOf(
        "create role made; grant made, d to a; grant select on router.t to made, b, public, current_user; set role c; alter role e rename to f;"
      )
      expect(roles).toEqual(["a", "b", "c", "d", "e"])
    })
  )
})
