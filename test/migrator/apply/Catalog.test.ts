import { randomUUID } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { Target } from "../../../src/migrator/plan/Target.ts"
import { ask, migrateRouter, migrationsOf, revision } from "../../support/migrator/Fixture.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const base = Target.DownTo({ number: 0, slug: null })

/** Why the downgrade is refused once `rows` exist; null if it is not. */
const refusalOf = (up: string, down: string, rows = "select 1") =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    const migrations = yield* migrationsOf({ "router/0001_a.sql": revision(up, down) })
    yield* migrateRouter(url, migrations)
    yield* ask(url, rows)
    return yield* migrateRouter(url, migrations, base).pipe(
      Effect.as(null),
      Effect.catchTag("DataLossRefused", ({ message }) => Effect.succeed(message))
    )
  })

const parent = "create table router.a (id int primary key);"

describe("a downgrade, checked against the catalog,", { timeout: 30_000 }, () => {
  it.scopedLive.each<[what: string, up: string, down: string, rows: string, refused: RegExp | null]>([
    [
      "drops a column of another table whose type is the row type of a dropped one",
      `${parent}\ncreate table router.t (id int, v router.a);`,
      "drop table router.a cascade;\nalter table router.t rename to kept;",
      "insert into router.t values (1, row(1))",
      /drop table router\.a … cascade may drop columns of router\.t/
    ],
    [
      "drops a column whose type is the row type of a view that is dropped with the table",
      `${parent}\ncreate view router.v as select id from router.a;\ncreate table router.t (id int, v router.v);`,
      "drop table router.a cascade;",
      "insert into router.t values (1, row(1))",
      /may drop columns of router\.t/
    ],
    [
      "drops only constraints, views and children of an empty table",
      `${parent}\ncreate table router.b (a int references router.a);\ncreate view router.v as select id from router.a;
       create table router.c () inherits (router.a);\ncreate sequence router.s owned by router.a.id;`,
      "drop table router.a cascade;",
      "select 1",
      null
    ],
    [
      "drops columns of a type of a dropped schema",
      "create schema other;\ncreate type other.mood as enum ('a');\ncreate table router.t (m other.mood);",
      "drop schema other cascade;",
      "insert into router.t values ('a')",
      /drop schema other … cascade may drop columns of router\.t/
    ],
    [
      "drops a partition in a dropped schema whose parent stays",
      "create schema other;\ncreate table router.p (id int) partition by range (id);\n" +
        "create table other.p1 partition of router.p for values from (0) to (9);",
      "drop schema other cascade;",
      "insert into router.p values (1), (2)",
      /table other\.p1: 2 rows/
    ],
    [
      "drops a table that was moved into a dropped schema",
      `create schema other;\n${parent}`,
      "alter table router.a set schema other;\ndrop schema other cascade;",
      "insert into router.a values (1)",
      /the contents of schema other/
    ],
    [
      "destroys the rows of a table that got the name of an empty one",
      `${parent}\ncreate table router.b (id int);`,
      "alter table router.b rename to c;\nalter table router.a rename to b;\ndrop table router.b;",
      "insert into router.a values (1)",
      /table router\.b: an earlier statement of the downgrade may add rows to it/
    ],
    [
      "empties a partition whose own key refers to a truncated table",
      `${parent}\ncreate table router.p (a int) partition by range (a);\n` +
        "create table router.p1 partition of router.p for values from (0) to (9);\n" +
        "alter table router.p1 add foreign key (a) references router.a;",
      "truncate router.a cascade;",
      "insert into router.a values (1); insert into router.p values (1); delete from router.p where false",
      /table router\.p1: 1 row/
    ],
    [
      "deletes rows by a trigger of a table that it updates",
      `${parent}\ncreate table router.log (id int);
       create function router.f() returns trigger language plpgsql as $$ begin delete from router.log; return new; end $$;
       create trigger t after update on router.a for each statement execute function router.f();`,
      "update router.a set id = id;",
      "insert into router.log values (1)",
      /it writes to router\.a, and triggers, rules or references may do more/
    ],
    [
      "deletes rows by a reference of another table",
      `${parent}\ncreate table router.b (a int references router.a on update cascade);`,
      "update router.a set id = id;",
      "select 1",
      /it writes to router\.a/
    ],
    [
      "writes to a table without triggers, rules or references",
      "create table router.a (id int);",
      "update router.a set id = 2;\ninsert into router.a values (1);",
      "insert into router.a values (1)",
      null
    ],
    [
      "rounds the values of a column",
      "create table router.a (v numeric);",
      "alter table router.a alter column v type int;",
      "insert into router.a values (1.5)",
      /column router\.a\.v: 1 value/
    ]
  ])("%s", ([, up, down, rows, refused]) =>
    Effect.gen(function* () {
      const message = yield* refusalOf(up, down, rows)
      if (refused === null) expect(message).toBeNull()
      else expect(message).toMatch(refused)
    })
  )

  it.scopedLive("does not count a table as empty if its rows are hidden from its owner", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": revision(
          "create table router.a (id int);\ninsert into router.a values (1);\n" +
            "alter table router.a enable row level security;\nalter table router.a force row level security;",
          "drop table router.a;"
        )
      })
      const role = `owner_${randomUUID().replaceAll("-", "")}`
      const database = new URL(Redacted.value(url)).pathname.slice(1)
      yield* Effect.acquireRelease(
        ask(url, `create role ${role} login password 'p'; grant create on database ${database} to ${role}`),
        () => Effect.orDie(ask(url, `drop owned by ${role} cascade; drop role ${role}`))
      )
      const owner = new URL(Redacted.value(url))
      owner.username = role
      owner.password = "p"
      const asOwner = Redacted.make(owner.href)
      yield* migrateRouter(asOwner, migrations)
      expect(yield* ask(asOwner, "select from router.a")).toEqual([])
      const refusal = yield* Effect.flip(migrateRouter(asOwner, migrations, base))
      expect(refusal).toMatchObject({ _tag: "DataLossRefused", losses: [{ table: "router.a", rows: null }] })
      expect(refusal.message).toContain("this role may not see all of its rows")
    })
  )
})
