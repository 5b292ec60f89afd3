import type { CatalogChanges } from "./CatalogChanges.ts"

/** Changes of objects that do not belong to a relation, and of what is said of objects. */
export const objectChanges: CatalogChanges = [
  // Routines and types.
  ["", "alter function app$.f() cost 7", ["~ function app$.f()"]],
  ["", "alter function app$.f() set work_mem = '1MB'", ["~ function app$.f()"]],
  [
    "",
    "alter function app$.f() owner to pg_monitor",
    ["~ function app$.f()", "+ privileges of pg_monitor on function app$.f()"]
  ],
  [
    "create aggregate app$.total (int) (sfunc = int4pl, stype = int)",
    "create or replace aggregate app$.total (int) (sfunc = int4pl, stype = int, combinefunc = int4pl)",
    ["~ aggregate app$.total(integer)"]
  ],
  [
    "create type app$.mood as enum ('good')",
    "alter type app$.mood add value 'bad' before 'good'",
    ["~ enum app$.mood"]
  ],
  [
    "create type app$.mood as enum ('good')",
    "grant usage on type app$.mood to pg_monitor",
    ["+ privileges of pg_monitor on type app$.mood", "+ privileges of public on type app$.mood"]
  ],
  ["create type app$.mood as enum ('good')", "revoke usage on type app$.mood from public", []],
  ["create domain app$.short as text", "alter domain app$.short set default 'x'", ["~ domain app$.short"]],
  [
    "create domain app$.short as text",
    'drop domain app$.short; create domain app$.short as text collate "C"',
    ["~ domain app$.short"]
  ],
  [
    "create type app$.span as range (subtype = int)",
    "drop type app$.span; create type app$.span as range (subtype = int, subtype_diff = int4range_subdiff)",
    ["~ type app$.span"]
  ],
  ["", "alter type app$.pair add attribute c int", ["+ column app$.pair.c"]],
  [
    "create cast (app$.pair as text) with inout",
    "drop cast (app$.pair as text); create cast (app$.pair as text) with inout as implicit",
    ["~ cast (app$.pair AS pg_catalog.text)"]
  ],
  [
    "create operator app$.=== (leftarg = int, rightarg = int, function = int4eq)",
    "drop operator app$.=== (int, int); create operator app$.=== (leftarg = int, rightarg = int, function = int4eq, hashes)",
    ["~ operator app$.===(integer,integer)"]
  ],
  [
    "create operator family app$.fam using btree",
    "alter operator family app$.fam using btree add operator 1 < (int, int)",
    ["+ operator of access method operator 1 (integer, integer) of app$.fam USING btree"]
  ],
  [
    "create operator family app$.fam using btree",
    "alter operator family app$.fam using btree add function 1 btint4cmp(int, int)",
    ["+ function of access method function 1 (integer, integer) of app$.fam USING btree"]
  ],
  [
    "create operator class app$.cls for type int using btree as operator 1 <",
    "alter operator class app$.cls using btree owner to pg_monitor",
    ["~ operator class app$.cls USING btree"]
  ],
  [
    "create collation app$.coll (locale = 'C')",
    "drop collation app$.coll; create collation app$.coll (locale = 'POSIX')",
    ["~ collation app$.coll"]
  ],
  [
    "create conversion app$.conv for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8",
    "drop conversion app$.conv; create default conversion app$.conv for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8",
    ["~ conversion app$.conv"]
  ],
  [
    "create access method heap2$ type table handler heap_tableam_handler",
    "drop access method heap2$",
    ["- access method heap2$"]
  ],
  [
    "create access method heap2$ type table handler heap_tableam_handler",
    "create table app$.b () using heap2$",
    ["+ table app$.b"]
  ],
  ["", "create trusted language plx$ handler plpgsql_call_handler", ["+ language plx$"]],
  // Text search.
  [
    "create text search configuration app$.conf (copy = simple)",
    "alter text search configuration app$.conf alter mapping for asciiword with english_stem",
    ["~ text search configuration app$.conf"]
  ],
  [
    "create text search dictionary app$.dict (template = simple)",
    "alter text search dictionary app$.dict (accept = false)",
    ["~ text search dictionary app$.dict"]
  ],
  ["", "create text search template app$.tmpl (lexize = dsimple_lexize)", ["+ text search template app$.tmpl"]],
  [
    "",
    "create text search parser app$.pars (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype)",
    ["+ text search parser app$.pars"]
  ],
  // Other servers.
  [
    "create foreign data wrapper w$ options (a '1')",
    "alter foreign data wrapper w$ options (set a '2')",
    ["~ foreign-data wrapper w$"]
  ],
  [
    "create foreign data wrapper w$; create server s$ foreign data wrapper w$",
    "alter server s$ options (add host 'x')",
    ["~ server s$"]
  ],
  [
    "create foreign data wrapper w$; create server s$ foreign data wrapper w$",
    "grant usage on foreign server s$ to pg_monitor",
    ["+ privileges of pg_monitor on server s$"]
  ],
  [
    "create foreign data wrapper w$",
    "grant usage on foreign data wrapper w$ to pg_monitor",
    ["+ privileges of pg_monitor on foreign data wrapper w$"]
  ],
  [
    "create foreign data wrapper w$; create server s$ foreign data wrapper w$",
    "create user mapping for public server s$",
    ["+ user mapping public on server s$"]
  ],
  [
    "create foreign data wrapper w$; create server s$ foreign data wrapper w$; create user mapping for public server s$ options (user 'a')",
    "alter user mapping for public server s$ options (set user 'b')",
    ["~ user mapping public on server s$"]
  ],
  [
    "create foreign data wrapper w$; create server s$ foreign data wrapper w$; create foreign table app$.ft (a int) server s$",
    "alter foreign table app$.ft options (add t '1')",
    ["~ foreign table app$.ft"]
  ],
  [
    "create foreign data wrapper w$; create server s$ foreign data wrapper w$; create foreign table app$.ft (a int) server s$",
    "alter foreign table app$.ft alter column a options (add c '1')",
    ["~ column app$.ft.a"]
  ],
  // Publications and subscriptions.
  ["create publication pub$", "alter publication pub$ set (publish = 'insert')", ["~ publication pub$"]],
  [
    "create publication pub$",
    "alter publication pub$ add table app$.a",
    ["+ publication relation app$.a in publication pub$"]
  ],
  [
    "create publication pub$ for table app$.a",
    "alter publication pub$ set table app$.a (id)",
    ["~ publication relation app$.a in publication pub$"]
  ],
  [
    "create publication pub$ for table app$.a",
    "alter publication pub$ set table app$.a where (id > 1)",
    ["~ publication relation app$.a in publication pub$"]
  ],
  [
    "create publication pub$",
    "alter publication pub$ add tables in schema app$",
    ["+ publication namespace app$ in publication pub$"]
  ],
  // Extensions, event triggers, settings, comments and labels.
  [
    "create extension pgcrypto with schema app$",
    "alter function app$.f() depends on extension pgcrypto",
    ["+ dependency of function app$.f() on extension pgcrypto"]
  ],
  [
    "create function app$.e() returns event_trigger language plpgsql as 'begin end'; create event trigger et$ on ddl_command_end execute function app$.e()",
    "alter event trigger et$ disable",
    ["~ event trigger et$"]
  ],
  ["comment on table app$.a is 'one'", "comment on table app$.a is 'two'", ["~ comment on table app$.a"]],
  ["", "comment on schema public is 'other'", ["~ comment on schema public"]],
  [
    "",
    "insert into pg_catalog.pg_seclabel values ('app$.a'::regclass, 'pg_class'::regclass, 0, 'dummy', 'secret')",
    ["+ security label on table app$.a by dummy"]
  ],
  ["", "alter database DATABASE set work_mem = '1MB'", ["+ settings of the database"]],
  ["", "select lo_create(0)", ["+ large objects of OWNER"]],
  // Privileges.
  ["", "grant select on app$.a to pg_monitor with grant option", ["+ privileges of pg_monitor on relation app$.a"]],
  [
    "",
    "grant usage on language plpgsql to pg_monitor",
    ["+ privileges of pg_monitor on language plpgsql", "+ privileges of public on language plpgsql"]
  ],
  ["", "revoke execute on function pg_catalog.pg_sleep(double precision) from public", []],
  [
    "",
    "grant execute on function pg_catalog.pg_ls_waldir() to pg_signal_backend",
    [
      "+ privileges of pg_monitor on function pg_ls_waldir()",
      "+ privileges of pg_signal_backend on function pg_ls_waldir()"
    ]
  ],
  ["", "grant create on database DATABASE to pg_monitor", ["+ privileges of pg_monitor on the database"]],
  ["", "alter default privileges revoke execute on functions from public", ["+ default privileges of OWNER on f"]]
]

/** A grant and its opposite: privileges are then written down, and are those of an object without any grant. */
export const undone: ReadonlyArray<string> = [
  "grant select on large object 4711 to pg_monitor; revoke select on large object 4711 from pg_monitor",
  "grant select on app$.a to pg_monitor; revoke select on app$.a from pg_monitor",
  "grant select (id) on app$.a to pg_monitor; revoke select (id) on app$.a from pg_monitor",
  "grant usage on type app$.pair to pg_monitor; revoke usage on type app$.pair from pg_monitor",
  "grant usage on type app$.mood0 to pg_monitor; revoke usage on type app$.mood0 from pg_monitor",
  "revoke usage on type app$.mood0 from public; grant usage on type app$.mood0 to public",
  "grant usage on type app$.a to pg_monitor; revoke usage on type app$.a from pg_monitor",
  "grant execute on function app$.f() to pg_monitor; revoke execute on function app$.f() from pg_monitor",
  "grant usage on sequence app$.s0 to pg_monitor; revoke usage on sequence app$.s0 from pg_monitor",
  "grant usage on schema app$ to pg_monitor; revoke usage on schema app$ from pg_monitor",
  "grant usage on language plpgsql to pg_monitor; revoke usage on language plpgsql from pg_monitor",
  "grant usage on foreign data wrapper w0$ to pg_monitor; revoke usage on foreign data wrapper w0$ from pg_monitor",
  "grant usage on foreign server s0$ to pg_monitor; revoke usage on foreign server s0$ from pg_monitor",
  "grant create on database DATABASE to pg_monitor; revoke create on database DATABASE from pg_monitor",
  "grant execute on function pg_catalog.pg_sleep(double precision) to pg_monitor; revoke execute on function pg_catalog.pg_sleep(double precision) from pg_monitor",
  "alter default privileges in schema app$ grant select on tables to public; alter default privileges in schema app$ revoke select on tables from public"
]
