import { execFile } from "node:child_process"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { compareCatalogs, readCatalog } from "../../../src/migrator/inspect/CatalogSnapshot.ts"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { commandLine } from "../../support/migrator/CommandLine.ts"
import { ask, migrationsOf, revision, write } from "../../support/migrator/Fixture.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const nowhere = Redacted.make("postgresql://stranger@127.0.0.1:9/none")

const files = {
  "router/0001_notes.sql":
    "-- migrate:up lock_timeout:3s\n-- What's noted; a comment with a ' in it.\ncreate table router.notes (id int primary key, note text default 'it''s; $1' -- the end\n);\n" +
    "create function router.one() returns int language plpgsql as $$ begin return 1; end $$;\n" +
    "-- migrate:down\ndrop function router.one();\ndrop table router.notes;\n" +
    "-- migrate:verify\nselect router.one() = 1 as fine, 1 as other; -- holds\ndo $$ begin perform router.one(); end $$;\n",
  "router/0002_by_note.sql": revision(
    "create index concurrently notes_by_note on router.notes (note);\nanalyze router.notes;",
    "drop index concurrently router.notes_by_note;",
    " transaction:false phase:contract"
  ).replace("-- migrate:down", "-- migrate:down transaction:false"),
  "router/0003_no_return.sql":
    "-- migrate:up\ninsert into router.notes values (1);\n-- migrate:irreversible it is noted\n"
}

/** Runs a script without this program: with psql if it is installed, else statement by statement. */
const apply = (url: Redacted.Redacted, script: string) =>
  Effect.flatMap(
    Effect.promise(
      () =>
        new Promise<string | null>((done) => {
          // psql knows the parameter from version 16 on.
          const address = Redacted.value(url).replace("?require_auth=scram-sha-256", "")
          const child = execFile("psql", ["-X", "-q", "-d", address], (error, _, stderr) =>
            done(error !== null && error.code === "ENOENT" ? null : stderr)
          )
          child.stdin?.on("error", () => {})
          child.stdin?.end(script)
        })
    ),
    (errors) => (errors === null ? bySession(url, script) : Effect.succeed(errors))
  )

/** Splits a script as psql does: each statement by itself. */
const bySession = (url: Redacted.Redacted, text: string) =>
  Effect.gen(function* () {
    const script = text.replace("\\set ON_ERROR_STOP on\n", "\n")
    const { parse } = yield* Effect.promise(() => import("libpg-query"))
    const tree = yield* Effect.promise(() => parse(script))
    const bytes = Buffer.from(script)
    const connection = yield* connect({ url, applicationName: "gravitas test" })
    for (const { stmt_len: length = 0, stmt_location: start = 0 } of tree.stmts ?? []) {
      yield* connection.query(bytes.subarray(start, length === 0 ? bytes.length : start + length).toString())
    }
    return ""
  }).pipe(
    Effect.scoped,
    Effect.catchTag("DatabaseError", (error) => Effect.succeed(error.message))
  )

const catalogOf = (url: Redacted.Redacted) =>
  connect({ url, applicationName: "gravitas test" }).pipe(
    Effect.tap((connection) => connection.query("set search_path = ''")),
    Effect.flatMap(readCatalog),
    Effect.scoped
  )

/** The rows of the history, without times. */
const historyOf = (url: Redacted.Redacted) =>
  Effect.all([
    ask(
      url,
      `select to_jsonb(h) - '{started_at,finished_at,duration_ms}'::text[] as row, started_at <= finished_at as ordered,
         duration_ms >= 0 as timed from router.schema_history h order by position`
    ),
    ask(url, "select to_jsonb(e) - '{at,id}'::text[] as row from router.schema_event e order by id")
  ])

describe("--sql", { timeout: 60_000 }, () => {
  it.scopedLive("renders a script that leaves the same catalog and history as upgrade", () =>
    Effect.gen(function* () {
      const [mine, theirs] = [yield* freshDatabase, yield* freshDatabase]
      const migrations = yield* migrationsOf(files)
      const offline = commandLine({ url: nowhere, migrations })
      const rendered = yield* offline("upgrade", "--sql", "--service", "router")
      expect(rendered).toMatchObject({ code: 0, stderr: "" })
      expect(yield* apply(mine, rendered.stdout)).toBe("")
      const upgrade = commandLine({ url: theirs, migrations })
      expect((yield* upgrade("--service", "router")).code).toBe(0)

      expect(yield* historyOf(mine)).toEqual(yield* historyOf(theirs))
      expect(compareCatalogs(yield* catalogOf(theirs), yield* catalogOf(mine))).toEqual([])
      expect(
        (yield* commandLine({ url: mine, migrations })("current", "--check-head", "--service", "router")).code
      ).toBe(0)
    })
  )

  it.scopedLive("renders a range, up and down, and each script refuses a schema at another revision", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf(files)
      const offline = commandLine({ url: nowhere, migrations })
      const online = commandLine({ url, migrations })
      const render = (...args: ReadonlyArray<string>) =>
        Effect.map(offline(...args, "--sql", "--service", "router"), ({ stdout }) => stdout)
      const [first, second] = [yield* render("upgrade", "base:1"), yield* render("upgrade", "0001:0002_by_note")]
      expect(yield* apply(url, second)).toContain("router.schema_event")
      expect(yield* apply(url, first)).toBe("")
      expect(yield* apply(url, first)).toContain("router is not at base")
      expect(yield* apply(url, second)).toBe("")
      expect((yield* online("current", "--json", "--service", "router")).stdout).toContain('"current": "0002_by_note"')
      expect(yield* apply(url, yield* render("downgrade", "2:1"))).toBe("")
      expect((yield* online("current", "--json", "--service", "router")).stdout).toContain('"current": "0001_notes"')
      expect(yield* apply(url, yield* render("downgrade", "1:base"))).toBe("")
      expect((yield* online("current", "--json", "--service", "router")).stdout).toContain('"current": "base"')
      expect(yield* ask(url, "select to_regclass('router.notes') as notes")).toEqual([{ notes: null }])
      // The history tables exist now; the same script does not create them again.
      expect(yield* apply(url, first)).toBe("")
    })
  )

  it.scopedLive("does not repeat an interrupted statement, neither by script nor by upgrade", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const count =
        "do $$ begin insert into router.a values (1); commit; perform 1 / (select n from router.gate); end $$"
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": revision("create table router.a (id int);\ncreate table router.gate as select 0 as n;"),
        "router/0002_call.sql": revision(`${count};\ncreate table router.b ();`, "select 1;", " transaction:false")
      })
      const { stdout } = yield* commandLine({ url: nowhere, migrations })("--sql", "--service", "router")
      expect(yield* apply(url, stdout)).toContain("division by zero")
      expect(yield* ask(url, "select steps_done, steps_begun from router.schema_history where revision = 2")).toEqual([
        { steps_done: 0, steps_begun: 1 }
      ])
      yield* ask(url, "update router.gate set n = 1")
      expect(yield* apply(url, stdout)).toContain("router is not at base")
      const rest = yield* commandLine({ url: nowhere, migrations })("upgrade", "--sql", "1:2", "--service", "router")
      expect(yield* apply(url, rest.stdout)).toContain("schema_history")
      const upgrade = yield* commandLine({ url, migrations })("--service", "router")
      expect(upgrade.code).toBe(7)
      expect(upgrade.stderr).toContain("the outcome of statement 1 was not recorded")
      expect(yield* ask(url, "select count(*)::int from router.a")).toEqual([{ count: 1 }])
      expect(yield* ask(url, "select to_regclass('router.b') as b")).toEqual([{ b: null }])
    })
  )

  it.scopedLive.each([
    "select 1 = 2, 'x'",
    "select null::boolean",
    "select true from router.a",
    "values (true), (false)",
    "select 'true'"
  ])("stops at an assertion that is not true and keeps nothing of that revision: %s", (assertion) =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": `${revision("create table router.a ();", "drop table router.a;")}-- migrate:verify\n${assertion};\n`
      })
      const { stdout } = yield* commandLine({ url: nowhere, migrations })("--sql", "--service", "router")
      expect(yield* apply(url, stdout)).toMatch(
        /the assertion returned no row, or a value other than true: .*0001_a\.sql:\d+/
      )
      expect(yield* ask(url, "select to_regclass('router.a') as a, count(*)::int from router.schema_history")).toEqual([
        { a: null, count: 0 }
      ])
    })
  )

  it.scopedLive("refuses a whole range with a data revision, and says how to split it", () =>
    Effect.gen(function* () {
      const migrations = yield* migrationsOf(files)
      yield* write(migrations, { "router/0004_fill.ts": "export default { up: 1, irreversible: 'none' }\n" })
      const offline = commandLine({ url: nowhere, migrations })
      const refused = yield* offline("upgrade", "--sql", "--service", "router")
      expect(refused).toMatchObject({ code: 10, stdout: "" })
      expect(refused.stderr).toContain("0004_fill")
      expect(refused.stderr).toContain("nothing was printed")
      expect((yield* offline("upgrade", "--sql", "base:3", "--service", "router")).code).toBe(0)
      // Also if another service could be rendered: half of a script is worse than none.
      yield* write(migrations, {
        "gatekeeper/0001_x.sql": revision("select 1;"),
        "guardian/0001_x.sql": revision("select 1;")
      })
      expect(yield* offline("--sql")).toMatchObject({ code: 10, stdout: "" })
    })
  )

  it.scopedLive("is refused by commands without a script, and a range is refused without --sql", () =>
    Effect.gen(function* () {
      const migrations = yield* migrationsOf(files)
      const offline = commandLine({ url: nowhere, migrations })
      const codes = yield* Effect.forEach(
        [
          ["status", "--sql"],
          ["downgrade", "--sql", "base"],
          ["upgrade", "0001:head"],
          ["upgrade", "--sql", "2:base"],
          ["downgrade", "--sql", "1:head"],
          ["upgrade", "--sql", "2:1"],
          ["upgrade", "--sql", "7:head"],
          ["--sql", "verify"]
        ],
        (args) => Effect.map(offline(...args, "--service", "router"), ({ code, stdout }) => [code, stdout])
      )
      expect(codes).toEqual([
        [2, ""],
        [2, ""],
        [2, ""],
        [2, ""],
        [2, ""],
        [2, ""],
        [8, ""],
        [2, ""]
      ])
    })
  )
})
