import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { readStatus } from "../../../src/migrator/inspect/Status.ts"
import {
  ask,
  eventsOf,
  migrateRouter,
  migrationsOf,
  revision,
  tableA,
  tableB,
  tablesOf
} from "../../support/migrator/Fixture.ts"
import { onRouter } from "../../support/migrator/OnRouter.ts"
import { router } from "../../support/migrator/Services.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

/** A database with history format 1: revision 1 is applied, and revision 2 half-way if `half` is set. */
const firstForm = (url: Redacted.Redacted, migrations: string, half = "") =>
  Effect.gen(function* () {
    const tables = yield* Effect.promise(() =>
      readFile(fileURLToPath(new URL("./format1.sql", import.meta.url)), "utf8")
    )
    const status = yield* readStatus(router).pipe(onRouter(url, migrations))
    expect(status.current).toBe("base")
    yield* ask(url, `create schema router; ${tables}`)
    yield* ask(
      url,
      `create table router.a (id int primary key);
       insert into router.schema_event (event, app_version, tool_version) values ('prepared', '0.1.0', 1);
       insert into router.schema_history (revision, slug, kind, phase, state, up_checksum, down_checksum, down_script,
         steps_done, steps_total, started_at, finished_at, duration_ms, app_version, tool_version)
       values (1, 'a', 'sql', 'expand', 'applied', '52f4', '9a1b', '-- migrate:down\ndrop table router.a;', 1, 1, now(), now(), 1, '0.1.0', 1);
       insert into router.schema_event (event, revision, slug, app_version, tool_version) values ('applied', 1, 'a', '0.1.0', 1);${half}`
    )
  })

/** The row of revision 1, as if format 1 had recorded this version of the files. */
const takeChecksums = (url: Redacted.Redacted, from: Redacted.Redacted) =>
  Effect.gen(function* () {
    for (const row of yield* ask(from, "select revision, up_checksum, down_checksum from router.schema_history")) {
      yield* ask(url, "update router.schema_history set up_checksum = $2, down_checksum = $3 where revision = $1", [
        row["revision"],
        row["up_checksum"],
        row["down_checksum"]
      ])
    }
  })

const catalog = `select n.nspname, c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull,
    pg_get_expr(d.adbin, d.adrelid) as fallback from pg_attribute a join pg_class c on c.oid = a.attrelid
  join pg_namespace n on n.oid = c.relnamespace left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where n.nspname = 'router' and c.relname ~ '^schema_' and a.attnum > 0 order by 1, 2, 3`
const constraints = `select conrelid::regclass::text as of, conname, pg_get_constraintdef(oid) as says from pg_constraint
  where connamespace = 'router'::regnamespace and conrelid::regclass::text ~ 'schema_' order by 1, 2`

describe("history tables of format 1", () => {
  it.scopedLive("are read as they are, and the next run brings them to the format of new ones", () =>
    Effect.gen(function* () {
      const [url, fresh] = [yield* freshDatabase, yield* freshDatabase]
      const one = yield* migrationsOf({ "router/0001_a.sql": tableA })
      const two = yield* migrationsOf({ "router/0001_a.sql": tableA, "router/0002_b.sql": tableB })
      yield* migrateRouter(fresh, two)
      yield* firstForm(url, one)
      yield* takeChecksums(url, fresh)
      const status = yield* readStatus(router).pipe(onRouter(url, two))
      expect(status).toMatchObject({ current: "0001_a", problem: null })
      expect(yield* ask(url, "select max(tool_version) as form from router.schema_event")).toEqual([{ form: 1 }])

      expect((yield* migrateRouter(url, two)).to).toBe("0002_b")
      expect(yield* eventsOf(url)).toEqual(["prepared", "applied a", "prepared", "applied b"])
      expect(
        yield* ask(url, "select max(tool_version) as form from router.schema_event where event = 'prepared'")
      ).toEqual([{ form: 2 }])
      expect(yield* ask(url, catalog)).toEqual(yield* ask(fresh, catalog))
      expect(yield* ask(url, constraints)).toEqual(yield* ask(fresh, constraints))
      const kept = "select revision, slug, state, steps_done, tool_version from router.schema_history order by 1"
      expect(yield* ask(url, kept)).toMatchObject([
        { revision: 1, tool_version: 1 },
        { revision: 2, tool_version: 2 }
      ])
    })
  )

  it.scopedLive("continue a half-way revision if its file is unchanged, and refuse if it is not", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const half = (text: string) =>
        migrationsOf({
          "router/0001_a.sql": tableA,
          "router/0002_half.sql": revision(text, "drop table router.c, router.d;", " transaction:false")
        })
      const files = yield* half("create table router.c ();\ncreate table router.d ();")
      const other = yield* freshDatabase
      yield* migrateRouter(other, files)
      yield* firstForm(
        url,
        files,
        `create table router.c ();
         insert into router.schema_history (revision, slug, kind, phase, state, up_checksum, down_checksum, down_script,
           steps_done, steps_total, started_at, app_version, tool_version)
         values (2, 'half', 'sql', 'expand', 'applying', '1', '1', '-- migrate:down\ndrop table router.c, router.d;', 1, 2, now(), '0.1.0', 1)`
      )
      yield* takeChecksums(url, other)
      const edited = yield* half("create table router.c (id int);\ncreate table router.d ();")
      const refusal = yield* Effect.flip(migrateRouter(url, edited))
      expect(refusal).toMatchObject({ _tag: "PartlyApplied", exitCode: 7 })
      expect(yield* tablesOf(url, "router")).toEqual(["a", "c"])
      expect((yield* migrateRouter(url, files)).to).toBe("0002_half")
      expect(yield* tablesOf(url, "router")).toEqual(["a", "c", "d"])
    })
  )
})
