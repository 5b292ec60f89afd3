import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { classOf, readTree } from "../../../src/migrator/files/Statements.ts"

describe("a statement of a revision without a transaction", () => {
  it.effect.each<[sql: string, tag: string]>([
    ["create index i on router.a (x)", "Transactional"],
    ["create index concurrently i on router.a (x)", "CreateIndex"],
    ["drop index router.i", "Transactional"],
    ["drop index concurrently router.i", "DropIndex"],
    ["insert into router.a values (1)", "Transactional"],
    ["alter table router.a add c int", "Transactional"],
    ["alter table router.a detach partition router.p", "Transactional"],
    ["alter table router.a detach partition router.p concurrently", "DetachPartition"],
    ["alter type router.t add value 'x'", "Transactional"],
    ["set maintenance_work_mem = '1GB'", "Setting"],
    ["reindex table concurrently router.a", "Repeatable"],
    ["vacuum (analyze) router.a", "Repeatable"],
    ["call router.p()", "Opaque"],
    ["do $$ begin commit; end $$", "Opaque"],
    ["alter system set work_mem = '1MB'", "Opaque"]
  ])("is told apart: %s is %s", ([sql, tag]) =>
    Effect.gen(function* () {
      expect(classOf(yield* readTree(sql))._tag).toBe(tag)
    })
  )

  it.effect("has the names that the catalog uses", () =>
    Effect.gen(function* () {
      const of = (sql: string) => Effect.map(readTree(sql), classOf)
      const table = { schema: "router", name: "a" }
      expect(yield* of('create unique index concurrently if not exists "I" on router.a (x)')).toMatchObject({
        table,
        index: { schema: "router", name: "I" }
      })
      expect(yield* of("create index concurrently on router.a (x)")).toMatchObject({ table, index: null })
      expect(yield* of("drop index concurrently if exists router.i")).toMatchObject({
        index: { schema: "router", name: "i" }
      })
    })
  )
})
