import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import Pg from "pg"
import { pooledQuery } from "../../../src/platform/postgres/PooledQuery.ts"
import { eventually } from "../../support/Eventually.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const limit = { deadline: Duration.seconds(20) }

const soon = { deadline: Duration.millis(100) }

/** A pool of two sessions: one runs what the other looks for. */
const onTwoSessions = Effect.gen(function* () {
  const url = Redacted.value(yield* freshDatabase)
  const pool = yield* Effect.acquireRelease(
    Effect.sync(() => new Pg.Pool({ connectionString: url, max: 2 })),
    (pool) => Effect.promise(() => pool.end())
  )
  const query = pooledQuery(pool)
  const running = query(
    `select from pg_stat_activity
     where datname = current_database() and state = 'active' and query like 'select pg_sleep%'`,
    [],
    limit
  )
  return { query, running: Effect.map(running, (rows) => rows.length) }
})

describe("a query on a session of a pool", () => {
  it.scopedLive("returns the rows, or the server's error without its values", () =>
    Effect.gen(function* () {
      const { query } = yield* onTwoSessions
      expect(yield* query("select $1::int + 1 as sum", [1], limit)).toEqual([{ sum: 2 }])
      const error = yield* Effect.flip(query("select $1::text::int", ["secret"], limit))
      expect(error.sqlstate).toBe("22P02")
      expect(error.reason).not.toContain("secret")
      expect(yield* query("select 1 as one", [], limit)).toEqual([{ one: 1 }])
    })
  )

  it.scopedLive("is cancelled at its deadline, and where its caller leaves, who goes on at once", () =>
    Effect.gen(function* () {
      const { query, running } = yield* onTwoSessions
      const late = yield* Effect.flip(query("select pg_sleep(600)", [], soon))
      expect(late.reason).toBe("no answer within 100ms")
      yield* eventually(running, (count) => count === 0)
      const caller = yield* Effect.fork(query("select pg_sleep(601)", [], limit))
      yield* eventually(running, (count) => count === 1)
      yield* Fiber.interrupt(caller)
      yield* eventually(running, (count) => count === 0)
    })
  )
})
