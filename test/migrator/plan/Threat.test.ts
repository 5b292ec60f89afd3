import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type Threat, threatsOf } from "../../../src/migrator/plan/Threat.ts"
import { readTree, shownName } from "../../../src/migrator/revision/ParseTree.ts"

const shown = (threat: Threat): string => {
  switch (threat._tag) {
    case "Rows":
      return `rows ${shownName(threat.table)}${threat.moved ? " (moved)" : ""}`
    case "RowsAndReferrers":
      return `rows ${shownName(threat.table)} and referrers`
    case "Values":
      return `values ${shownName(threat.table)}.${threat.column}${threat.moved ? " (moved)" : ""}`
    case "Schema":
      return `schema ${threat.name}`
    case "Unknown":
      return "unknown"
  }
}

const threats = (...statements: ReadonlyArray<string>) =>
  Effect.map(Effect.all(statements.map(readTree)), (trees) => threatsOf([trees]).flat().map(shown))

describe("what a down script could destroy", () => {
  it.effect.each<[sql: string, expected: ReadonlyArray<string>]>([
    ["drop table router.a, b", ["rows router.a", "rows b"]],
    ["drop table if exists router.a cascade", ["rows router.a"]],
    ["drop schema router cascade", ["schema router"]],
    ["drop schema router", []],
    ["truncate router.a, router.b", ["rows router.a", "rows router.b"]],
    ["truncate router.a cascade", ["rows router.a and referrers"]],
    ["delete from router.a where id = 1", ["rows router.a"]],
    ["with gone as (delete from router.a returning *) insert into router.b select * from gone", ["rows router.a"]],
    ["merge into router.a using router.b on true when matched then delete", ["rows router.a"]],
    ["merge into router.a using router.b on true when matched then do nothing", []],
    ["alter table router.a drop column c, drop column if exists d", ["values router.a.c", "values router.a.d"]],
    ["alter table router.a alter column c type int using length(c)", ["values router.a.c"]],
    ["alter table router.a alter column c type text", []],
    ["alter table router.a detach partition router.p", []],
    ["alter table router.a drop constraint c", []],
    ["alter type router.t drop attribute c", ["unknown"]],
    ["drop type router.t cascade", ["unknown"]],
    ["drop type router.t", []],
    ["drop view router.v cascade", []],
    ["drop index router.i", []],
    ["drop function router.f()", []],
    ["drop extension hstore", ["unknown"]],
    ["drop owned by someone", ["unknown"]],
    ["do $$ begin end $$", ["unknown"]],
    ["call router.p()", ["unknown"]],
    ["select router.clean()", ["unknown"]],
    ["update router.a set b = router.f(b)", ["unknown"]],
    ["select set_config('search_path', 'router', false)", ["unknown"]],
    ["set search_path = router", ["unknown"]],
    ["set lock_timeout = '1s'", []],
    ["select pg_sleep(0), count(*) from router.a", []],
    ["update router.a set b = null", []],
    ["create function router.f() returns void language sql as 'delete from router.a'", []],
    ["create table router.a (id uuid default router.f())", []],
    ["selct 1", ["unknown"]]
  ])("is seen: %s", ([sql, expected]) =>
    Effect.gen(function* () {
      expect(yield* threats(sql)).toEqual(expected)
    })
  )

  it.effect("is looked at with doubt once rows may stand under another name", () =>
    Effect.gen(function* () {
      expect(yield* threats("alter table router.a rename to b", "drop table router.b")).toEqual([
        "rows router.b (moved)"
      ])
      expect(yield* threats("insert into router.b select * from router.a", "alter table router.b drop c")).toEqual([
        "values router.b.c (moved)"
      ])
      // The order counts, over the downs of several revisions too.
      const [first, second] = yield* Effect.all(
        ["drop table router.b", "create table router.b as select 1"].map(readTree)
      )
      if (first === undefined || second === undefined) return
      expect(
        threatsOf([[first], [second], [first]])
          .flat()
          .map(shown)
      ).toEqual(["rows router.b", "rows router.b (moved)"])
    })
  )
})
