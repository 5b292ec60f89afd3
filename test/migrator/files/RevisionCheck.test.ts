import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { requireRunnable, sectionsOf } from "../../../src/migrator/files/RevisionCheck.ts"
import { parseRevision } from "../../../src/migrator/files/RevisionFile.ts"
import { revision } from "../../support/migrator/Fixture.ts"

/** What is refused in a file, as `line: problem`. */
const problemsOf = (text: string) =>
  Effect.flatMap(Effect.orDie(parseRevision("router", "0001_a.sql", text)), (parsed) =>
    Effect.match(requireRunnable("router", sectionsOf(parsed)), {
      onSuccess: () => [],
      onFailure: ({ problems }) => problems.map(({ line, problem }) => `${line}: ${problem}`)
    })
  )

const block = (body: string) => `do $$ begin ${body} end $$;`
const lock = /releases the migration lock/
const record = /is the migrator's own record of this schema, which only the migrator writes/
const timeout = /removes lock_timeout/
const schema = /the schema router holds the history of its own revisions/

const refused: ReadonlyArray<readonly [sql: string, problem: RegExp]> = [
  ["select pg_catalog.pg_advisory_unlock_all();", lock],
  ["select pg_advisory_unlock(hashtextextended('migrate:router:router', 0));", lock],
  [block("perform pg_advisory_unlock_all();"), lock],
  [block("execute 'select pg_advisory_unlock_all()';"), lock],
  [
    "create function router.f() returns void language sql as 'select pg_advisory_unlock_all()'; select router.f();",
    lock
  ],
  ["discard all;", lock],
  ["update router.schema_history set slug = 'zzz';", record],
  ["insert into router.schema_event (event) values ('applied');", record],
  ["with gone as (delete from router.schema_history returning 1) select * from gone;", record],
  ["truncate router.t, router.schema_event;", record],
  ["merge into router.schema_history h using router.t on true when matched then delete;", record],
  ["drop table if exists router.schema_history;", record],
  ["drop view router.schema_version;", record],
  ["drop trigger schema_event_append_only on router.schema_event;", record],
  ["drop function router.refuse_schema_event_change();", record],
  ["alter table router.schema_event disable trigger all;", record],
  ["alter table router.schema_history rename to other;", record],
  ["alter table router.schema_history set schema public;", record],
  ["alter table router.schema_history owner to a;", record],
  ["create rule r as on insert to router.schema_history do instead nothing;", record],
  ["create or replace view router.schema_version as select 1;", record],
  ["copy router.schema_history from '/x';", record],
  ["set search_path = router; update schema_history set slug = 'x';", record],
  [block("update router.schema_history set slug = 'x';"), record],
  ["drop schema router cascade;", schema],
  ["drop schema if exists other, router;", schema],
  ["alter schema router rename to x;", schema],
  ["set lock_timeout = 0;", timeout],
  ["set local lock_timeout to '0s';", timeout],
  ["set lock_timeout to default;", timeout],
  ["reset lock_timeout;", timeout],
  ["select set_config('lock_timeout', '0', true);", timeout],
  [block("set lock_timeout = 0;"), timeout],
  ["reset all;", /reset all removes lock_timeout/]
]

const accepted: ReadonlyArray<string> = [
  "select pg_advisory_lock(1); select pg_advisory_unlock(1);",
  "create function router.f() returns void language sql as 'select pg_advisory_unlock_all()';",
  "create function router.f() returns int language sql set lock_timeout = 0 as 'select 1';",
  "select * from router.schema_history; grant select on router.schema_version to a; comment on table router.schema_history is 'x';",
  "insert into router.t select slug from router.schema_history;",
  "update gatekeeper.t set schema_history = 1; create table router.schema_history_copy (); drop schema other;",
  "set lock_timeout = '5s'; set statement_timeout = 0; set local work_mem = 0; reset role; discard temp;",
  "discard plans;"
]

describe("what may not run in a revision", () => {
  it.effect("is refused with its line: what releases the lock, writes the history, or removes timeouts", () =>
    Effect.gen(function* () {
      for (const [sql, problem] of refused) {
        const found = yield* problemsOf(revision(`select 1;\n${sql}`))
        expect(found[0]?.startsWith("3: "), `${sql} ${found}`).toBe(true)
        expect(found[0], sql).toMatch(problem)
        expect((yield* problemsOf(revision("select 1;", sql)))[0], `down: ${sql}`).toMatch(problem)
      }
    })
  )

  it.effect("is not every statement with such a word", () =>
    Effect.gen(function* () {
      for (const sql of accepted) expect(yield* problemsOf(revision(sql)), sql).toEqual([])
    })
  )

  it.effect("may remove a timeout that the marker leaves out, or sets to zero", () =>
    Effect.gen(function* () {
      const down = "select 1;"
      expect(yield* problemsOf(revision("set lock_timeout = 0;", down, " transaction:false"))).toEqual([])
      expect(yield* problemsOf(revision("set lock_timeout = 0;", down, " lock_timeout:0s"))).toEqual([])
      const limited = yield* problemsOf(revision("set statement_timeout = 0;", down, " statement_timeout:5s"))
      expect(limited).toEqual([expect.stringMatching(/^2: it removes statement_timeout/)])
      const waiting = yield* problemsOf(revision("set lock_timeout = 0;", down, " transaction:false lock_timeout:5s"))
      expect(waiting).toEqual([expect.stringMatching(timeout)])
    })
  )
})
