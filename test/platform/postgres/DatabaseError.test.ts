import * as Net from "node:net"
import * as SqlError from "@effect/sql/SqlError"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { DatabaseError, databaseError } from "../../../src/platform/postgres/DatabaseError.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

/** What the driver throws: an `Error` with fields. */
const thrown = (message: string, fields: Readonly<Record<string, unknown>> = {}) =>
  Object.assign(new Error(message), fields)

describe("databaseError", () => {
  it.scopedLive("keeps what a real server says: SQLSTATE, constraint, table, column and position", () =>
    Effect.gen(function* () {
      const session = yield* connect({ url: yield* freshDatabase, applicationName: "test" })
      yield* session.query(
        "create schema room; create table room.badge (id int constraint badge_pk primary key, name text not null)"
      )
      yield* session.query("insert into room.badge values (1, 'a')")
      const duplicate = yield* Effect.flip(session.query("insert into room.badge values ($1, 'b')", [1]))
      expect(duplicate).toMatchObject({
        phase: "statement",
        sqlstate: "23505",
        schema: "room",
        table: "badge",
        constraint: "badge_pk"
      })
      expect(duplicate.message).toContain("(SQLSTATE 23505)")
      const missing = yield* Effect.flip(session.query("insert into room.badge (id) values (2)"))
      expect(missing).toMatchObject({ sqlstate: "23502", column: "name" })
      yield* session.query(
        "create type room.mood as enum ('good'); create view room.named as select * from room.badge where id < 9 with check option"
      )
      for (const statement of [
        "insert into room.badge values (7, null)",
        "insert into room.named values (4711, 'n')",
        `insert into room.badge values ('a 4711"x"', 'n')`,
        "select '4711'::room.mood",
        `select '{"a": 4711x}'::jsonb`,
        "select '4711-99-99'::date",
        "select '99999994711'::int",
        "do $$ begin raise 'no' using detail = 'row 4711'; end $$",
        "insert into room.badge values (1, '4711')"
      ]) {
        const refused = yield* Effect.flip(session.query(statement))
        expect([statement, JSON.stringify(refused)]).toEqual([statement, expect.not.stringMatching(/4711|null,|\(1\)/)])
      }
      const typo = yield* Effect.flip(session.query("select * form room.badge"))
      expect(typo).toMatchObject({ sqlstate: "42601", position: 10 })
      const raised = yield* Effect.flip(
        session.query("do $$ begin raise 'no' using errcode = 'EPIPE', hint = 'ask'; end $$")
      )
      expect(raised).toMatchObject({ reason: "no", sqlstate: "EPIPE", hint: "ask" })
    })
  )

  it.live("gives an error of the socket no SQLSTATE, though EPIPE has the form of one", () =>
    Effect.gen(function* () {
      const refused = yield* Effect.async<unknown>((resume) => {
        Net.connect({ host: "127.0.0.1", port: 1 }).on("error", (error) => resume(Effect.succeed(error)))
      })
      expect(databaseError("connect", refused)).toEqual(
        new DatabaseError({ phase: "connect", reason: "connect ECONNREFUSED 127.0.0.1:1" })
      )
      expect(databaseError("commit", thrown("write EPIPE", { code: "EPIPE" })).sqlstate).toBeUndefined()
    })
  )

  it("finds the innermost error, below SqlError's and an AggregateError's", () => {
    const inner = thrown("duplicate key", { code: "23505", severity: "ERROR" })
    const wrapped = new SqlError.SqlError({ cause: inner, message: "Failed to execute statement" })
    expect(databaseError("statement", wrapped)).toMatchObject({ reason: "duplicate key", sqlstate: "23505" })
    const both = new AggregateError([
      thrown("connect ECONNREFUSED ::1:5432"),
      thrown("connect ECONNREFUSED 127.0.0.1:5432")
    ])
    expect(databaseError("connect", both).reason).toBe("connect ECONNREFUSED ::1:5432")
  })

  it("leaves one of its own as it is, wrapped or not", () => {
    const own = new DatabaseError({ phase: "commit", reason: "gone", sqlstate: "40001" })
    expect(databaseError("statement", own)).toBe(own)
    expect(databaseError("statement", new SqlError.SqlError({ cause: own, message: "failed" }))).toBe(own)
  })

  it.scopedLive("holds neither the password nor the statement's parameters", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const session = yield* connect({ url, applicationName: "test" })
      const wrong = new URL(Redacted.value(url))
      wrong.searchParams.set("options", "-c no_such_setting=1")
      const refused = yield* Effect.flip(
        Effect.scoped(connect({ url: Redacted.make(wrong.href), applicationName: "test" }))
      )
      expect(refused.phase).toBe("connect")
      const failed = yield* Effect.flip(session.query("select 1 / 0 where $1 = 'hunter2'", ["hunter2"]))
      const password = new URL(Redacted.value(url)).password || "no password in this URL"
      for (const error of [refused, failed]) {
        expect(JSON.stringify(error) + String(error)).not.toContain(password)
        expect(JSON.stringify(error) + String(error)).not.toContain("hunter2")
      }
    })
  )

  it.prop("makes a typed error with a message of whatever is thrown", [FastCheck.anything()], ([anything]) => {
    const error = databaseError("statement", anything)
    expect(error).toBeInstanceOf(DatabaseError)
    expect(typeof error.message).toBe("string")
  })
})
