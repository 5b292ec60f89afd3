import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readTree, shownName } from "../../../src/migrator/files/Statements.ts"
import { type DestructiveChange, destructiveChangesIn } from "../../../src/migrator/plan/DestructiveChange.ts"

const shown = (threat: DestructiveChange): string => {
  switch (threat._tag) {
    case "Rows":
      return `rows ${shownName(threat.table)}${threat.moved ? " (moved)" : ""}`
    case "RowsAndReferrers":
      return `rows ${shownName(threat.table)} and referrers`
    case "Values":
      return `values ${shownName(threat.table)}.${threat.column}${threat.moved ? " (moved)" : ""}`
    case "Dependants":
      return `dependants of ${shownName(threat.table)}`
    case "Schema":
      return `schema ${threat.name}${threat.moved ? " (moved)" : ""}`
    case "Written":
      return `writes ${shownName(threat.table)}${threat.renamed ? " (renamed)" : ""}`
    case "Unknown":
      return "unknown"
  }
}

const threats = (...statements: ReadonlyArray<string>) =>
  Effect.map(Effect.all(statements.map(readTree)), (trees) => destructiveChangesIn([trees]).flat().map(shown))

describe("the data that a down script could destroy", () => {
  it.effect.each<[sql: string, expected: ReadonlyArray<string>]>([
    ["drop table router.a, b", ["rows router.a", "rows b"]],
    ["drop table if exists router.a cascade", ["rows router.a", "dependants of router.a"]],
    ["drop schema router cascade", ["schema router"]],
    ["drop schema router", []],
    ["truncate router.a, router.b", ["rows router.a", "writes router.a", "rows router.b", "writes router.b"]],
    ["truncate router.a cascade", ["rows router.a and referrers", "writes router.a"]],
    ["delete from router.a where id = 1", ["rows router.a", "writes router.a"]],
    [
      "with gone as (delete from router.a returning *) insert into router.b select * from gone",
      ["rows router.a", "writes router.b", "writes router.a"]
    ],
    ["merge into router.a using router.b on true when matched then delete", ["rows router.a", "writes router.a"]],
    ["merge into router.a using router.b on true when matched then do nothing", ["writes router.a"]],
    ["alter table router.a drop column c, drop column if exists d", ["values router.a.c", "values router.a.d"]],
    ["alter table router.a alter column c type int using length(c)", ["values router.a.c"]],
    ["alter table router.a alter column c type text", []],
    ["alter table router.a alter column c type varchar", []],
    ["alter table router.a alter column c type varchar(9)", ["values router.a.c"]],
    ["alter table router.a alter column c type int", ["values router.a.c"]],
    ["alter table router.a alter column c type date", ["values router.a.c"]],
    ["alter table router.a drop column c cascade", ["unknown"]],
    ["alter table router.a drop constraint c cascade", ["unknown"]],
    ["alter table router.a detach partition router.p", []],
    ["alter table router.a drop constraint c", []],
    ["alter type router.t drop attribute c", ["unknown"]],
    ["drop type router.t cascade", ["unknown"]],
    ["drop type router.t", []],
    ["drop view router.v", []],
    ["drop view router.v cascade", ["unknown"]],
    ["drop materialized view router.v cascade", ["unknown"]],
    ["drop sequence router.s cascade", ["unknown"]],
    ["drop trigger t on router.a cascade", []],
    ["drop index router.i", []],
    ["drop function router.f()", []],
    ["drop extension hstore", ["unknown"]],
    ["drop owned by someone", ["unknown"]],
    ["do $$ begin end $$", ["unknown"]],
    ["call router.p()", ["unknown"]],
    ["select router.clean()", ["unknown"]],
    ["update router.a set b = router.f(b)", ["writes router.a", "unknown"]],
    ["select set_config('search_path', 'router', false)", ["unknown"]],
    ["set search_path = router", ["unknown"]],
    ["set lock_timeout = '1s'", []],
    ["select pg_sleep(0), count(*) from router.a", []],
    ["update router.a set b = null", ["writes router.a"]],
    ["create function router.f() returns void language sql as 'delete from router.a'", []],
    ["create table router.a (id uuid default router.f())", []],
    ["selct 1", ["unknown"]]
  ])("is seen: %s", ([sql, expected]) =>
    Effect.gen(function* () {
      expect(yield* threats(sql)).toEqual(expected)
    })
  )

  it.effect("is marked as moved once rows may be in a table of another name", () =>
    Effect.gen(function* () {
      expect(yield* threats("alter table router.a rename to b", "drop table router.b")).toEqual([
        "rows router.b (moved)"
      ])
      expect(yield* threats("insert into router.b select * from router.a", "alter table router.b drop c")).toEqual([
        "writes router.b",
        "values router.b.c (moved)"
      ])
      expect(yield* threats("alter table router.a attach partition router.b default", "drop table router.a")).toEqual([
        "rows router.a (moved)"
      ])
      expect(yield* threats("alter table router.a set schema old", "drop schema old cascade")).toEqual([
        "schema old (moved)"
      ])
      expect(yield* threats("alter table router.a rename to b", "update router.b set c = 1")).toEqual([
        "writes router.b (renamed)"
      ])
      // The order counts, also across the downs of several revisions.
      const [first, second] = yield* Effect.all(
        ["drop table router.b", "create table router.b as select 1"].map(readTree)
      )
      if (first === undefined || second === undefined) return
      expect(
        destructiveChangesIn([[first], [second], [first]])
          .flat()
          .map(shown)
      ).toEqual(["rows router.b", "rows router.b (moved)"])
    })
  )
})
