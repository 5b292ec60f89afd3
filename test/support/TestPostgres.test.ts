import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { testPostgres } from "./TestPostgres.ts"

it.scopedLive("a server of one's own can be paused, stopped and killed, and comes back with its data", () =>
  Effect.gen(function* () {
    const server = yield* testPostgres()
    const session = connect({
      url: server.url,
      applicationName: "test",
      connectTimeout: "1 second",
      deadline: "1 second"
    })
    const count = Effect.scoped(
      Effect.gen(function* () {
        const connection = yield* session
        yield* connection.query("insert into kept default values")
        return (yield* connection.query("select count(*)::int as rows from kept")).rows[0]?.["rows"]
      })
    )
    const open = yield* session
    yield* open.query("create table kept (at timestamptz not null default now())")
    expect(yield* count).toBe(1)

    yield* server.pause
    expect(yield* Effect.flip(count)).toMatchObject({ phase: "connect" })
    expect(yield* Effect.flip(open.query("select 1"))).toMatchObject({ reason: expect.stringContaining("no answer") })
    yield* server.resume
    expect(yield* count).toBe(2)

    yield* server.stop
    expect(yield* Effect.flip(count)).toMatchObject({ reason: expect.stringMatching(/ECONNREFUSED|ENOENT/) })
    yield* server.start
    expect(yield* count).toBe(3)

    yield* server.kill
    expect(yield* Effect.flip(count)).toMatchObject({ phase: "connect" })
    yield* server.start
    expect(yield* count).toBe(4)

    // The end of the scope copes with a paused one, too.
    yield* server.pause
  })
)
