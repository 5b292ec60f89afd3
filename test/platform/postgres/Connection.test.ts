import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { DatabaseError } from "../../../src/platform/postgres/DatabaseError.ts"
import {
  isActive,
  poll,
  seconds,
  sessions,
  silentServer,
  stopped,
  untilActive,
  untilGone
} from "../../support/platform/Sessions.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"
import { testPostgres } from "../../support/TestPostgres.ts"

describe("Connection.connect", () => {
  it.scopedLive("opens a session that others can name, and closes it with the scope", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const observer = yield* connect({ url, applicationName: "test observer" })
      const pid = yield* Effect.scoped(
        Effect.gen(function* () {
          const session = yield* connect({ url, applicationName: "test named session" })
          const seen = yield* observer.query(
            "select application_name from pg_catalog.pg_stat_activity where pid = $1",
            [session.backendPid]
          )
          expect(seen.rows).toEqual([{ application_name: "test named session" }])
          expect(session.isOpen()).toBe(true)
          return session.backendPid
        })
      )
      yield* untilGone(observer, pid)
    })
  )

  it.scopedLive("gives up on a server that accepts and says nothing, and leaves no socket behind", () =>
    Effect.gen(function* () {
      const { port, sockets } = yield* silentServer
      const url = Redacted.make(`postgresql://app:hunter2@127.0.0.1:${port}/d`)
      const [elapsed, error] = yield* connect({ url, applicationName: "test", connectTimeout: "300 millis" }).pipe(
        Effect.scoped,
        Effect.flip,
        Effect.timed
      )
      expect(error).toBeInstanceOf(DatabaseError)
      expect(error).toMatchObject({ phase: "connect" })
      expect(error.sqlstate).toBeUndefined()
      expect(error.message).not.toContain("hunter2")
      expect(seconds(elapsed)).toBeLessThan(1.5)
      yield* Effect.sync(() => sockets.size).pipe(
        Effect.repeat({ schedule: poll, until: (open) => open === 0 }),
        Effect.timeout("20 seconds")
      )
    })
  )

  it.scopedLive("closes its socket when interrupted while connecting", () =>
    Effect.gen(function* () {
      const { port, sockets } = yield* silentServer
      const url = Redacted.make(`postgresql://app@127.0.0.1:${port}/d`)
      const fiber = yield* Effect.fork(Effect.scoped(connect({ url, applicationName: "test" })))
      const size = Effect.sync(() => sockets.size)
      yield* size.pipe(Effect.repeat({ schedule: poll, until: (open) => open === 1 }), Effect.timeout("20 seconds"))
      const [elapsed] = yield* Effect.timed(Fiber.interrupt(fiber))
      expect(seconds(elapsed)).toBeLessThan(0.5)
      yield* size.pipe(Effect.repeat({ schedule: poll, until: (open) => open === 0 }), Effect.timeout("20 seconds"))
    })
  )

  it.live("fails with phase connect when the certificate that the URL names cannot be read", () =>
    Effect.gen(function* () {
      const url = Redacted.make("postgresql://app@127.0.0.1:1/d?sslmode=verify-full&sslrootcert=/missing.pem")
      const error = yield* Effect.flip(Effect.scoped(connect({ url, applicationName: "test" })))
      expect(error).toMatchObject({ phase: "connect" })
      expect(error.message).toContain("/missing.pem")
    })
  )
})

describe("Connection.query", () => {
  it.scopedLive("destroys the socket of a stopped server when the deadline has passed", () =>
    Effect.gen(function* () {
      const { session, observer } = yield* sessions
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* stopped(session.backendPid)
          const [elapsed, error] = yield* Effect.timed(
            Effect.flip(session.query("select 1", [], { deadline: "400 millis" }))
          )
          expect(error).toMatchObject({
            phase: "statement",
            reason: "no answer within 400ms; the connection was closed"
          })
          expect(seconds(elapsed)).toBeGreaterThanOrEqual(0.39)
          expect(seconds(elapsed)).toBeLessThan(0.9)
          expect(session.isOpen()).toBe(false)
          const [next, closed] = yield* Effect.timed(Effect.flip(session.query("select 1")))
          expect(closed.message).toBe("the connection is closed")
          expect(seconds(next)).toBeLessThan(0.1)
        })
      )
      yield* untilGone(observer, session.backendPid)
    })
  )

  it.scopedLive("is bounded by its own deadline and not by query_timeout of the connection string", () =>
    Effect.gen(function* () {
      const url = new URL(Redacted.value(yield* freshDatabase))
      url.searchParams.set("query_timeout", "100")
      const session = yield* connect({ url: Redacted.make(url.href), applicationName: "test", pipelined: true })
      yield* session.send([{ text: "select 1" }])
      expect((yield* session.query("select pg_sleep(0.3), 1 as one")).rows).toMatchObject([{ one: 1 }])
      expect(session.isOpen()).toBe(true)
    })
  )

  it.scopedLive("cancels its statement in the server when interrupted, and the session goes on", () =>
    Effect.gen(function* () {
      const { session, observer } = yield* sessions
      const fiber = yield* Effect.fork(session.query("select pg_sleep(30)"))
      yield* untilActive(observer, session.backendPid)
      const [elapsed] = yield* Effect.timed(Fiber.interrupt(fiber))
      expect(seconds(elapsed)).toBeLessThan(1)
      // It tells its client of the end a moment before it says so itself; the statement would go on for 30 seconds.
      yield* isActive(observer, session.backendPid).pipe(
        Effect.repeat({ schedule: poll, until: (active) => !active }),
        Effect.timeout("20 seconds")
      )
      expect(session.isOpen()).toBe(true)
      expect((yield* session.query("select 1 as one")).rows).toEqual([{ one: 1 }])
    })
  )

  it.scopedLive(
    "never waits for a server stopped as a whole: connecting, asking, interrupting and closing are bounded",
    () =>
      Effect.gen(function* () {
        const server = yield* testPostgres()
        const open = connect({ url: server.url, applicationName: "test", connectTimeout: "300 millis" })
        const scope = yield* Scope.make()
        const [asked, interrupted, idle] = yield* Effect.all([open, open, open]).pipe(Scope.extend(scope))
        const fiber = yield* Effect.fork(interrupted.query("select pg_sleep(30)"))
        yield* untilActive(idle, interrupted.backendPid)
        yield* Effect.acquireRelease(server.pause, () => server.resume)
        const [asking, error] = yield* Effect.timed(
          Effect.flip(asked.query("select 1", [], { deadline: "400 millis" }))
        )
        expect(error.reason).toBe("no answer within 400ms; the connection was closed")
        expect(seconds(asking)).toBeLessThan(0.9)
        const [interrupting] = yield* Effect.timed(Fiber.interrupt(fiber))
        expect(seconds(interrupting)).toBeLessThan(2.5)
        expect(interrupted.isOpen()).toBe(false)
        const [connecting, refused] = yield* Effect.timed(Effect.flip(Effect.scoped(open)))
        expect(refused.phase).toBe("connect")
        expect(seconds(connecting)).toBeLessThan(1.3)
        expect(idle.isOpen()).toBe(true)
        const [closing] = yield* Effect.timed(Scope.close(scope, Exit.void))
        expect(seconds(closing)).toBeLessThan(1.5)
      }).pipe(Effect.scoped)
  )

  it.scopedLive("waits longer than the session's deadline when told to wait for ever", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const session = yield* connect({ url, applicationName: "test", deadline: "100 millis" })
      yield* session.query("select pg_sleep(0.3)", [], { deadline: null })
      const error = yield* Effect.flip(session.query("select pg_sleep(0.3)"))
      expect(error.reason).toContain("no answer within 100ms")
    })
  )

  it.scopedLive(
    "fails with a typed error when the connection is lost, in use or idle, and nothing else is thrown",
    () =>
      Effect.gen(function* () {
        const { url, observer, session: busy } = yield* sessions
        const idle = yield* connect({ url, applicationName: "test idle" })
        const fiber = yield* Effect.fork(Effect.flip(busy.query("select pg_sleep(30)")))
        yield* untilActive(observer, busy.backendPid)
        for (const { backendPid } of [busy, idle]) {
          yield* observer.query("select pg_catalog.pg_terminate_backend($1)", [backendPid])
        }
        const error = yield* Fiber.join(fiber)
        expect(error).toMatchObject({ phase: "statement", sqlstate: "57P01" })
        for (const lost of [busy, idle]) {
          yield* Effect.sync(lost.isOpen).pipe(
            Effect.repeat({ schedule: poll, until: (open) => !open }),
            Effect.timeout("20 seconds")
          )
          expect((yield* Effect.flip(lost.query("select 1"))).reason).toBe("the connection is closed")
        }
      })
  )

  it.scopedLive("ends at once when destroyed, and tells the server nothing", () =>
    Effect.gen(function* () {
      const { session, observer } = yield* sessions
      const fiber = yield* Effect.fork(Effect.flip(session.query("select pg_sleep(30)")))
      yield* untilActive(observer, session.backendPid)
      yield* session.destroy
      expect(yield* Fiber.join(fiber)).toMatchObject({ phase: "statement" })
      expect(session.isOpen()).toBe(false)
    })
  )
})

describe("Connection.send", () => {
  const pipelined = Effect.flatMap(freshDatabase, (url) =>
    Effect.map(connect({ url, applicationName: "test", pipelined: true }), (session) => ({ session, url }))
  )

  it.scopedLive("runs queries in the order in which they were sent, as one pipeline behind its preparation", () =>
    Effect.gen(function* () {
      const { session } = yield* pipelined
      const hostile = "'; drop table t; -- \\' $1 \u{1F47B}"
      const done: Array<number> = []
      const answers = yield* session.send(
        [
          { text: "create table t (id int, note text)" },
          { text: "insert into t values ($1, $2)", values: [1, hostile], flush: true },
          { text: "select id, note from t" },
          { text: "select pg_catalog.current_setting('work_mem') as memory" }
        ],
        { before: "set work_mem = '1MB'; select 1", answered: (count) => done.push(count) }
      )
      expect(answers.map(({ rows }) => rows)).toEqual([[], [], [{ id: 1, note: hostile }], [{ memory: "1MB" }]])
      expect(answers[1]).toMatchObject({ rowCount: 1 })
      expect(done).toEqual([1, 2, 3, 4])
    })
  )

  it.scopedLive("fails with the first error and the place of its query, behind which nothing runs", () =>
    Effect.gen(function* () {
      const { session } = yield* pipelined
      yield* session.query("create table t (id int primary key)")
      const insert = (id: number) => ({ text: "insert into t values ($1) returning id", values: [id] })
      const inserts = session.send([insert(1), insert(1), insert(2)])
      const failed = yield* Effect.flip(session.transaction(inserts))
      const expected = { index: 1, cause: { sqlstate: "23505", phase: "statement" }, answers: [{ rowCount: 1 }] }
      expect(failed).toMatchObject(expected)
      expect(yield* Effect.flip(inserts)).toMatchObject(expected)
      expect((yield* session.query("select from t")).rows).toEqual([])
      expect((yield* session.send([insert(3)]))[0]?.rows).toEqual([{ id: 3 }])
      expect(yield* Effect.flip(session.send([{ text: "select 1" }], { before: "select 1 / 0" }))).toMatchObject({
        index: -1,
        cause: { sqlstate: "22012" }
      })
    })
  )

  it.scopedLive("brings a notice to the query that raised it", () =>
    Effect.gen(function* () {
      const { session } = yield* pipelined
      const noticed: Array<string> = []
      const raise = (what: string) => ({ text: `do $$ begin raise notice '${what}'; end $$` })
      yield* session.send([{ text: "select 1" }, raise("a"), raise("b")], {
        before: "select 1; do $$ begin raise notice 'before'; end $$",
        noticed: ({ message }, index) => noticed.push(`${index} ${message}`)
      })
      expect(noticed).toEqual(["1 a", "2 b"])
    })
  )

  it.scopedLive(
    "cancels the statement that runs when its answer is not awaited any longer, and rolls back those behind it",
    () =>
      Effect.gen(function* () {
        const { session, url } = yield* pipelined
        const observer = yield* connect({ url, applicationName: "test observer" })
        yield* session.query("create table t (id int)")
        const slow = session.send([{ text: "select pg_sleep(30)" }, { text: "insert into t values (1)" }], {
          deadline: null
        })
        const fiber = yield* Effect.fork(session.transaction(slow))
        yield* untilActive(observer, session.backendPid)
        const [elapsed] = yield* Effect.timed(Fiber.interrupt(fiber))
        expect(seconds(elapsed)).toBeLessThan(2)
        expect(session.isOpen()).toBe(true)
        expect((yield* session.query("select from t")).rows).toEqual([])
      })
  )

  it.scopedLive("fails when the deadline has passed, and so does what comes later", () =>
    Effect.gen(function* () {
      const { session } = yield* pipelined
      const late = yield* Effect.flip(session.send([{ text: "select pg_sleep(30)" }], { deadline: "300 millis" }))
      expect(late.cause.reason).toContain("no answer within 300ms")
      const closed = { index: 0, cause: { reason: "the connection is closed" } }
      expect(yield* Effect.flip(session.send([{ text: "select 1" }]))).toMatchObject(closed)
    })
  )
})
