import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { withoutSecrets } from "../../../src/migrator/apply/Secrets.ts"
import { DatabaseError } from "../../../src/platform/postgres/DatabaseError.ts"
import { commandLine } from "../../support/migrator/CommandLine.ts"
import { ask, migrateRouter, migrationsOf, revision, tableA, write } from "../../support/migrator/Fixture.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const shown = (statement: string, reason = "refused") =>
  withoutSecrets({
    location: { file: "f.sql", line: 1, column: 3, source: statement, statement },
    cause: new DatabaseError({ phase: "statement", reason, sqlstate: "42710", detail: "hunter2", hint: "hunter2" })
  })

describe("a failed statement", () => {
  for (const statement of [
    "create role x password 'hunter2'",
    "alter role x with password E'hunter2\\''",
    "alter user x password $q$hunter2$q$",
    "create role x password U&'hunter2'",
    "create role x /* hunter2 */ password 'x'",
    "create subscription s connection 'host=a password=hunter2' publication p",
    "alter subscription s connection 'password=hunter2'",
    "create server s foreign data wrapper w options (password 'hunter2')",
    "alter server s options (set password 'hunter2')",
    "create user mapping for x server s options (password 'hunter2')",
    "alter user mapping for x server s options (set password 'hunter2')",
    "alter role x set a.secret to 'hunter2'",
    "do $$ begin create role x password 'hunter2'; end $$",
    "do $$ begin\n  execute 'create role ' || r || ' password ''hunter2'''; end $$",
    "do $$ begin execute format('alter user %I password %L', u, 'hunter2'); end $$",
    "do $$ begin create rol x password 'hunter2'; end $$",
    "do language plpgsql 'begin alter role x password ''hunter2''; end'",
    "create function f() returns void language plpgsql as $$ begin alter role x password 'hunter2'; end $$",
    "create function f() returns void language sql as $$ alter role x password 'hunter2' $$",
    "create procedure p() language plpgsql as $$ begin create user mapping for x server s options (password 'hunter2'); end $$",
    "select dblink_connect('host=a password=hunter2')",
    "select from dblink('postgres://a:hunter2@b/c', 'select 1') as t (a int)",
    "copy router.t from program 'curl -u a:hunter2 b'",
    "alter system set primary_conninfo = 'hunter2'",
    "alter database d set a.secret = 'hunter2'",
    "create role x pasword 'hunter2'",
    "create role x password 'hunter2"
  ]) {
    it.effect(`shows no secret: ${statement}`, () =>
      Effect.gen(function* () {
        const { cause, location } = yield* shown(statement, "syntax error at or near \"'hunter2'\"")
        expect(JSON.stringify({ location, cause, message: cause.message })).not.toContain("hunter2")
        expect(location.statement).toContain("***")
      })
    )
  }

  for (const [statement, reason] of [
    ["do $$ begin update router.t set nosuch = 1; end $$", 'column "nosuch" of relation "t" does not exist'],
    ["do $$ begin updat router.t set a = 1; end $$", 'syntax error at or near "updat"'],
    ["do $$ begin execute 'update router.t set nosuch = 1'; end $$", 'column "nosuch" of relation "t" does not exist'],
    ["do $$ begin execute format('drop table %I', 'nosuch'); end $$", 'table "nosuch" does not exist'],
    ["do $$ declare r record; begin for r in select 'nosuch' loop raise notice '%', r; end loop; end $$", "nosuch"],
    ["create function f() returns int language plpgsql as $$ begin retrun 'nosuch'; end $$", "nosuch"],
    ["insert into t valuse ('nosuch')", "nosuch"]
  ] as const) {
    it.effect(`keeps the server's message: ${statement}`, () =>
      Effect.gen(function* () {
        const { cause, location } = yield* shown(statement, reason)
        expect(cause.reason).toBe(reason)
        expect(location.statement).toBe(statement)
      })
    )
  }

  it.effect("in a body hides only its own secrets, and texts that are known only while it runs", () =>
    Effect.gen(function* () {
      const body = "do $$ begin alter role missing password 'hunter2'; perform 'plain'; end $$"
      const role = yield* shown(body, 'role "missing" does not exist')
      expect(role.cause.reason).toBe('role "missing" does not exist')
      expect(role.location.statement).toBe("do $$ begin alter role missing password ***; perform ***; end $$")
      const executed = "do $$ declare r record; begin for r in select c from t loop execute r.c; end loop; end $$"
      expect((yield* shown(executed, 'relation "a" does not exist')).cause.reason).toMatch(/does not exist/)
      const quoting = withoutSecrets({
        location: { file: "f.sql", line: 1, source: executed, statement: executed },
        cause: new DatabaseError({ phase: "statement", reason: 'syntax error at or near "hunter2"', sqlstate: "42601" })
      })
      expect((yield* quoting).cause.reason).toMatch(/left out/)
    })
  )

  it.effect("keeps the server's message if it repeats no literal, and every literal of other statements", () =>
    Effect.gen(function* () {
      const role = yield* shown("create role x password 'hunter2'", 'role "x" already exists')
      expect(role.location.statement).toBe("create role x password ***")
      expect(role.cause).toMatchObject({ reason: 'role "x" already exists', sqlstate: "42710" })
      const other = yield* shown("insert into\n  t values ('plain')")
      expect(other.location).toMatchObject({ statement: "insert into t values ('plain')", column: 3 })
    })
  )

  it.scopedLive("writes neither its text, nor a secret, nor a row to the event log, the message or --json", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const [me] = yield* ask(url, "select quote_ident(current_user) as name")
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": tableA,
        "router/0002_role.sql": revision(`create role ${me?.["name"]} password 'hunter2';`)
      })
      const failure = yield* Effect.flip(migrateRouter(url, migrations))
      expect(failure).toMatchObject({ _tag: "RevisionFailed", location: { line: 2 }, cause: { sqlstate: "42710" } })
      const json = yield* commandLine({ url, migrations })("--json", "--service", "router")
      expect(json.code).toBe(1)
      yield* write(migrations, {
        "router/0002_role.sql": revision("insert into router.a values (4711), (4711);")
      })
      const broken = yield* Effect.flip(migrateRouter(url, migrations))
      expect(broken.message).toContain("SQLSTATE 23505")
      expect(broken.message).not.toContain("(id)=(4711)")
      expect(broken.message).toContain("  detail: left out, since it holds values of rows; the log of PostgreSQL")
      const told = yield* ask(url, "select reason, details::text from router.schema_event where event = 'failed'")
      expect(told).toHaveLength(3)
      expect(JSON.stringify([failure, failure.message, json.stdout, json.stderr, told])).not.toContain("hunter2")
      expect(JSON.stringify(told)).not.toContain("4711")
      expect(told[0]?.["reason"]).toMatch(/0002_role\.sql:2: role ".*" already exists \(SQLSTATE 42710\)$/)
    })
  )
})
