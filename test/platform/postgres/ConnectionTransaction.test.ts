import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { count, seconds, sessions, stopped, untilActive } from "../../support/platform/Sessions.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

describe("Connection.transaction", () => {
  const withTable = Effect.tap(sessions, ({ session }) =>
    session.query("create table t (id int primary key, note text)")
  )

  it.scopedLive("commits what succeeds and rolls back what fails, dies or is interrupted", () =>
    Effect.gen(function* () {
      const { session, observer } = yield* withTable
      const insert = (id: number) => session.query("insert into t values ($1)", [id])
      expect(yield* session.transaction(Effect.as(insert(1), "done"))).toBe("done")
      expect(yield* Effect.flip(session.transaction(Effect.zipRight(insert(2), Effect.fail("no"))))).toBe("no")
      expect(
        Exit.isFailure(yield* Effect.exit(session.transaction(Effect.zipRight(insert(3), Effect.die("bug")))))
      ).toBe(true)
      const reached = yield* Deferred.make<void>()
      const body = insert(4).pipe(Effect.zipRight(Deferred.succeed(reached, undefined)), Effect.zipRight(Effect.never))
      const fiber = yield* Effect.fork(session.transaction(body))
      yield* Deferred.await(reached)
      yield* Fiber.interrupt(fiber)
      expect(session.isOpen()).toBe(true)
      expect(yield* count(observer)).toBe(1)
      yield* session.transaction(insert(5))
      expect(yield* count(observer)).toBe(2)
    })
  )

  it.scopedLive("rolls back when a statement of its body is interrupted, and the session goes on", () =>
    Effect.gen(function* () {
      const { session, observer } = yield* withTable
      const body = Effect.zipRight(session.query("insert into t values (1)"), session.query("select pg_sleep(30)"))
      const fiber = yield* Effect.fork(session.transaction(body))
      yield* untilActive(observer, session.backendPid)
      yield* Fiber.interrupt(fiber)
      expect(yield* count(session)).toBe(0)
    })
  )

  it.scopedLive(
    "takes a body that begins the transaction in its first message: whole or not at all, and the session goes on",
    () =>
      Effect.gen(function* () {
        const { session, observer } = yield* withTable
        const begun = { begun: true }
        const first = (text: string) => session.query(`begin; ${text}`)
        const insert = (id: number) => session.query("insert into t values ($1)", [id])
        yield* session.transaction(Effect.zipRight(first("set local lock_timeout = 1000"), insert(1)), begun)
        yield* session.transaction(
          session.copyIn("begin; set local lock_timeout = 1000; copy t (id) from stdin", "2\n3\n"),
          begun
        )
        expect(yield* count(observer)).toBe(3)
        const failures = [
          Effect.zipRight(first("insert into t values (4)"), insert(1)),
          first("insert into t values (4); select 1 / 0"),
          first("not a statement"),
          session.copyIn("begin; copy t (id) from stdin", "4\n1\n"),
          session.copyIn("begin; insert into t values (4); copy t (id) from stdin", "x\n")
        ]
        const states = yield* Effect.forEach(failures, (body) =>
          Effect.map(Effect.flip(session.transaction(body, begun)), ({ phase, sqlstate }) => [phase, sqlstate])
        )
        expect(states).toEqual(["23505", "22012", "42601", "23505", "22P02"].map((state) => ["statement", state]))
        const body = Effect.zipRight(first("insert into t values (4)"), session.query("select pg_sleep(30)"))
        const early = first("insert into t values (4); select pg_sleep(30)")
        for (const interrupted of [body, early]) {
          const fiber = yield* Effect.fork(session.transaction(interrupted, begun))
          yield* untilActive(observer, session.backendPid)
          yield* Fiber.interrupt(fiber)
          expect(session.isOpen()).toBe(true)
        }
        expect(Exit.isFailure(yield* Effect.exit(session.transaction(session.query("select 1"), begun)))).toBe(true)
        yield* session.transaction(Effect.zipRight(first("select 1"), insert(5)), begun)
        expect(yield* count(observer)).toBe(4)
      })
  )

  it.scopedLive("fails with phase commit and the SQLSTATE when COMMIT is refused", () =>
    Effect.gen(function* () {
      const { session } = yield* withTable
      yield* session.query("create table child (id int references t deferrable initially deferred)")
      const error = yield* Effect.flip(session.transaction(session.query("insert into child values (1)")))
      expect(error).toMatchObject({ phase: "commit", sqlstate: "23503" })
      yield* session.transaction(session.query("insert into t values (1)"))
      expect(yield* count(session)).toBe(1)
    })
  )

  it.scopedLive("does not call committed what the server rolled back, since the body went on after an error", () =>
    Effect.gen(function* () {
      const { session } = yield* withTable
      const body = Effect.zipRight(
        session.query("insert into t values (1)"),
        Effect.ignore(session.query("select 1 / 0"))
      )
      const error = yield* Effect.flip(session.transaction(body))
      expect(error).toMatchObject({ phase: "commit", sqlstate: "25P02" })
      expect(yield* count(session)).toBe(0)
    })
  )

  it.scopedLive(
    "fails with phase commit and no SQLSTATE when the server stops answering at COMMIT: outcome unknown",
    () =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
        const session = yield* connect({ url, applicationName: "test", deadline: "400 millis" })
        yield* session.query("create table t (id int)")
        const body = Effect.zipRight(session.query("insert into t values (1)"), stopped(session.backendPid))
        const [elapsed, error] = yield* Effect.timed(Effect.flip(session.transaction(body)))
        expect(error).toMatchObject({ phase: "commit", reason: "no answer within 400ms; the connection was closed" })
        expect(error).not.toHaveProperty("sqlstate")
        expect(seconds(elapsed)).toBeLessThan(1.5)
      }).pipe(Effect.scoped)
  )
})
