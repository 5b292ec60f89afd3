/** What each change finds in its schema. */
export const furniture = `
  create schema app$;
  create table app$.a (id int primary key, name text);
  create index a_by_name on app$.a (name);
  create view app$.v as select id from app$.a;
  create function app$.f() returns int language sql as 'select 1';
  create function app$.touch() returns trigger language plpgsql as 'begin return null; end';
  create trigger t1 after insert on app$.a execute function app$.touch();
  create table app$.log (kind int) partition by list (kind);
  create type app$.pair as (a int, b int);
  create sequence app$.s0;
  create type app$.mood0 as enum ('a');
  create foreign data wrapper w0$;
  create server s0$ foreign data wrapper w0$`

/**
 * One change for each kind of object and property of which PostgreSQL keeps a catalog: what is there before, the change, and the
 * names of the lines in which the snapshots differ. `$` is the number of the change, so that all of them are made in one database.
 */
export type CatalogChanges = ReadonlyArray<readonly [before: string, change: string, expected: ReadonlyArray<string>]>

/** What most revisions change: relations, and what belongs to them. */
export const relationChanges: CatalogChanges = [
  // What most revisions do.
  ["", 'alter table app$.a add column note text collate "C"', ["+ column app$.a.note"]],
  ["", "alter table app$.a alter column name type varchar(20)", ["~ column app$.a.name"]],
  ["", "alter table app$.a alter column name set default 'x'", ["~ column app$.a.name"]],
  ["", "alter table app$.a add constraint a_name check (name <> '')", ["+ constraint a_name on app$.a"]],
  ["", "create index a_name on app$.a (name)", ["+ index app$.a_name"]],
  ["", "drop index app$.a_by_name", ["- index app$.a_by_name"]],
  ["", "create unlogged table app$.b ()", ["+ table app$.b"]],
  ["", "create or replace view app$.v as select id, 1 as one from app$.a", ["+ column app$.v.one", "~ view app$.v"]],
  ["", "create materialized view app$.m as select 1 as one", ["+ column app$.m.one", "+ materialized view app$.m"]],
  ["", "create sequence app$.s", ["+ sequence app$.s"]],
  [
    "",
    "create function app$.g() returns int language sql as 'select 1'",
    ["+ function app$.g()", "+ privileges of public on function app$.g()"]
  ],
  ["", "create or replace function app$.f() returns int language sql as 'select 2'", ["~ function app$.f()"]],
  ["", "create trigger t2 after insert on app$.a execute function app$.touch()", ["+ trigger t2 on app$.a"]],
  ["", "alter table app$.a disable trigger t1", ["~ trigger t1 on app$.a"]],
  ["", "create type app$.mood as enum ('good')", ["+ enum app$.mood"]],
  [
    "",
    "create domain app$.short as text check (length(value) < 9)",
    ["+ constraint short_check on app$.short", "+ domain app$.short"]
  ],
  ["", "grant select on app$.a to pg_monitor", ["+ privileges of pg_monitor on relation app$.a"]],
  ["", "grant update (name) on app$.a to pg_monitor", ["+ privileges of pg_monitor on column app$.a.name"]],
  ["", "revoke execute on function app$.f() from public", ["- privileges of public on function app$.f()"]],
  [
    "",
    "alter default privileges in schema app$ grant select on tables to public",
    ["+ default privileges of OWNER on r in app$"]
  ],
  ["", "comment on column app$.a.name is 'who'", ["+ comment on table column app$.a.name"]],
  ["", "alter table app$.a enable row level security", ["~ table app$.a"]],
  ["", "alter table app$.a owner to pg_monitor", ["+ privileges of pg_monitor on relation app$.a", "~ table app$.a"]],
  ["", "create policy p on app$.a using (true)", ["+ policy p on app$.a"]],
  ["", "create statistics app$.st on id, name from app$.a", ["+ statistics app$.st"]],
  [
    "",
    "create table app$.part partition of app$.log for values in (1)",
    ["+ column app$.part.kind", "+ table app$.part"]
  ],
  ["", "create schema other$", ["+ schema other$"]],
  ["", "create extension citext with schema app$", ["+ comment on extension citext", "+ extension citext"]],
  ["", "create cast (app$.pair as text) with inout", ["+ cast (app$.pair AS pg_catalog.text)"]],
  // Relations.
  ["", "alter table app$.a replica identity full", ["~ table app$.a"]],
  ["", "alter table app$.a replica identity using index a_pkey", ["~ index app$.a_pkey", "~ table app$.a"]],
  ["", "alter table app$.a set (fillfactor = 50)", ["~ table app$.a"]],
  ["", "alter table app$.a set (toast.autovacuum_enabled = off)", ["~ table app$.a"]],
  ["", "alter table app$.a force row level security", ["~ table app$.a"]],
  ["", "alter table app$.a set unlogged", ["~ table app$.a"]],
  [
    "create table app$.b (id int primary key, name text not null)",
    "alter table app$.b inherit app$.a",
    ["~ table app$.b"]
  ],
  [
    "create table app$.parent (id int); create table app$.c () inherits (app$.parent)",
    "alter table app$.c no inherit app$.parent",
    ["~ column app$.c.id", "~ table app$.c"]
  ],
  ["create table app$.b (a int, b int)", "alter table app$.b of app$.pair", ["~ table app$.b"]],
  ["create table app$.b (a text)", "alter table app$.b alter column a set (n_distinct = 5)", ["~ column app$.b.a"]],
  ["create table app$.b (a text)", "alter table app$.b alter column a set statistics 500", ["~ column app$.b.a"]],
  ["create table app$.b (a text)", "alter table app$.b alter column a set storage external", ["~ column app$.b.a"]],
  ["create table app$.b (a text)", "alter table app$.b alter column a set compression pglz", ["~ column app$.b.a"]],
  [
    "create table app$.b (a int generated always as identity)",
    "alter table app$.b alter column a set generated by default",
    ["~ column app$.b.a"]
  ],
  [
    "create table app$.b (a int generated always as identity)",
    "alter table app$.b alter column a set increment by 2",
    ["~ sequence app$.b_a_seq"]
  ],
  ["create sequence app$.s", "alter sequence app$.s maxvalue 9", ["~ sequence app$.s"]],
  ["create sequence app$.s", "alter sequence app$.s owned by app$.a.id", ["~ sequence app$.s"]],
  ["create view app$.w as select id from app$.a", "alter view app$.w set (security_barrier)", ["~ view app$.w"]],
  [
    "create materialized view app$.m as select 1 as one",
    "refresh materialized view app$.m with no data",
    ["~ materialized view app$.m"]
  ],
  [
    "create index a_lower on app$.a (lower(name))",
    "alter index app$.a_lower alter column 1 set statistics 100",
    ["~ index app$.a_lower"]
  ],
  ["create index a_x on app$.a (name)", "alter index app$.a_x set (fillfactor = 60)", ["~ index app$.a_x"]],
  ["", "alter table app$.a cluster on a_by_name", ["~ index app$.a_by_name"]],
  [
    "create table app$.b (id int references app$.a)",
    "alter table app$.b disable trigger all",
    ["+ triggers of constraint b_id_fkey on app$.b"]
  ],
  [
    "create table app$.b (id int references app$.a)",
    "alter table app$.b alter constraint b_id_fkey deferrable",
    ["~ constraint b_id_fkey on app$.b"]
  ],
  [
    "alter table app$.a add constraint positive check (id > 0) not valid",
    "alter table app$.a validate constraint positive",
    ["~ constraint positive on app$.a"]
  ],
  ["", "alter table app$.a enable always trigger t1", ["~ trigger t1 on app$.a"]],
  [
    "create rule r1 as on insert to app$.a do also select 1",
    "alter table app$.a disable rule r1",
    ["~ rule r1 on app$.a"]
  ],
  ["create policy p on app$.a using (true)", "alter policy p on app$.a to pg_monitor", ["~ policy p on app$.a"]],
  [
    "create statistics app$.st on id, name from app$.a",
    "alter statistics app$.st set statistics 50",
    ["~ statistics app$.st"]
  ],
  [
    "create statistics app$.st on id, name from app$.a",
    "alter statistics app$.st owner to pg_monitor",
    ["~ statistics app$.st"]
  ]
]
