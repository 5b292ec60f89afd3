import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { newerSyntax } from "../../../src/migrator/files/NewerSyntax.ts"

/** The first version that reads a statement; 14 reads those of the last list. */
const statements: ReadonlyArray<[since: number, statement: string]> = [
  [15, "merge into t using s on a = b when matched then delete"],
  [15, "create unique index i on t (a) nulls not distinct"],
  [15, "create table t (a int unique nulls not distinct)"],
  [15, "alter table t set access method heap"],
  [15, "create unlogged sequence s"],
  [15, "alter table t add foreign key (a) references b (c) on delete set null (a)"],
  [15, "create publication p for tables in schema a"],
  [15, "create publication p for table t where (a > 1)"],
  [15, "grant set on parameter x to y"],
  [15, "create view v with (security_invoker) as select 1"],
  [16, "select * from (select 1)"],
  [16, "do $$ begin perform * from (select 1); end $$"],
  [16, "create function f() returns void language plpgsql as $$ begin insert into t select * from (select 1); end $$"],
  [16, "select json_object('a': 1), json_arrayagg(b) from t"],
  [16, "select a is json from t"],
  [16, "select 0x1F"],
  [16, "select 1_000"],
  [16, "create statistics on a, b from t"],
  [16, "create table t (a text storage external)"],
  [16, "grant a to b with inherit true"],
  [16, "copy t from '/x' (default 'd')"],
  [16, "select any_value(a) from t"],
  [17, "select * from json_table(a, '$' columns (b int path '$.b'))"],
  [17, "select json_value(a, '$.b') from t"],
  [17, "merge into t using s on a = b when not matched by source then delete"],
  [17, "merge into t using s on a = b when matched then delete returning *"],
  [17, "alter table t alter a set expression as (1)"],
  [17, "grant maintain on t to y"],
  [17, "copy t from '/x' (on_error ignore)"],
  [17, "select now() at local"],
  [18, "create table t (a int, b int generated always as (a) virtual)"],
  [18, "create table t (a int, b int generated always as (a))"],
  [18, "update t set a = 1 returning old.a, new.a"],
  [18, "delete from t returning with (old as o) o.a"],
  [18, "alter table t add constraint c check (a > 0) not enforced"],
  [18, "create table t (a int references b not enforced)"],
  [18, "create table t (a int4range, primary key (a without overlaps))"],
  [18, "alter table t add constraint c not null a"],
  [18, "alter table t alter constraint c inherit"]
]

describe("newer syntax", () => {
  it.effect.each(statements)("of PostgreSQL %i is found for the version before: %s", ([since, statement]) =>
    Effect.gen(function* () {
      expect(yield* newerSyntax(statement, since - 1)).toContain(`since PostgreSQL ${since}`)
      expect(yield* newerSyntax(statement, since)).toBeNull()
    })
  )

  it.effect.each([
    "select * from (select 1) as s",
    "select 'a 0x1F', x1_000, a.b_1 from t1_0",
    "create table t (a int check (a > 0) not null, b int references c, c int generated always as (a) stored)",
    "alter table t add constraint c foreign key (a) references b",
    "alter table t alter constraint c deferrable",
    "update t set a = 1 returning a",
    "create trigger x after insert on t for each row when (old.a is null) execute function f()",
    "copy t to stdout (format csv)",
    "create function f() returns int begin atomic select 1; end",
    "do $$ begin this is not read $$"
  ])("is not found in what PostgreSQL 14 reads: %s", (statement) =>
    Effect.map(newerSyntax(statement, 14), (problem) => expect(problem).toBeNull())
  )
})
