import { describe, expect, it } from "@effect/vitest"
import { connectReason, connectRemedy } from "../../../src/platform/postgres/ConnectProblem.ts"
import { DatabaseUnreachable } from "../../../src/platform/postgres/Database.ts"
import { DatabaseError } from "../../../src/platform/postgres/DatabaseError.ts"

const error = (reason: string, sqlstate?: string) => new DatabaseError({ phase: "connect", reason, sqlstate })

describe("A refused connection", () => {
  it.each([
    [
      error("connect ECONNREFUSED 127.0.0.1:5433"),
      "nothing listens on 127.0.0.1:5433 (ECONNREFUSED)",
      /^Start PostgreSQL there, .*DATABASE_CONNECT_DEADLINE\. Without DATABASE_URL/
    ],
    [
      error("getaddrinfo ENOTFOUND db.invalid"),
      "no host has the name db.invalid (ENOTFOUND)",
      /^Correct the host .*%23/
    ],
    [error("read ECONNRESET"), "the server closed the connection (ECONNRESET)", /^Start PostgreSQL there/],
    [
      error("connect ENOENT /run/.s.PGSQL.5432"),
      "there is no socket /run/.s.PGSQL.5432 (ENOENT)",
      /^Start PostgreSQL there/
    ],
    [
      error('password authentication failed for user "app"', "28P01"),
      'password authentication failed for user "app" (SQLSTATE 28P01)',
      /^Correct the password .* percent-encoded: @ is %40/
    ],
    [
      error('role "app" does not exist', "28000"),
      'role "app" does not exist (SQLSTATE 28000)',
      /^Correct the role .*pg_hba\.conf/
    ],
    [
      error('database "none" does not exist', "3D000"),
      'database "none" does not exist (SQLSTATE 3D000)',
      /^Correct the name of the database .*createdb/
    ],
    [error("something else"), "something else", /^Start PostgreSQL there/]
  ])("says what it means and what to do: %s", (cause, reason, remedy) => {
    expect(connectReason(cause)).toBe(reason)
    expect(connectRemedy(cause)).toMatch(remedy)
  })

  it.each(["28000", "0A000"])("has no remedy beside the reason that our own client gives: %s", (sqlstate) => {
    const reason = "let the server ask for scram-sha-256"
    const cause = new DatabaseError({ phase: "connect", refused: true, reason, sqlstate })
    expect(connectRemedy(cause)).toBeUndefined()
    const { message } = new DatabaseUnreachable({ address: "postgresql://h/d", attempts: 1, waited: "1ms", cause })
    expect(message).toBe(`cannot connect to postgresql://h/d: ${reason} (SQLSTATE ${sqlstate}) (1 attempt, 1ms).`)
  })
})
