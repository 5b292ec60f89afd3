import * as Net from "node:net"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { type Connection, connect } from "../../src/platform/Connection.ts"
import { DatabaseError } from "../../src/platform/DatabaseError.ts"
import { freshDatabase } from "../support/TestDatabase.ts"
import { testPostgres } from "../support/TestPostgres.ts"

/** Two sessions on one database of their own: the one that is tested, and one that looks on. */
const sessions = Effect.gen(function* () {
  const url = yield* freshDatabase
  const observer = yield* connect({ url, applicationName: "test observer" })
  const session = yield* connect({ url, applicationName: "test session" })
  return { url, observer, session }
})

const isActive = (observer: Connection, pid: number) =>
  Effect.map(
    observer.query("select from pg_catalog.pg_stat_activity where pid = $1 and state = 'active'", [pid]),
    ({ rowCount }) => rowCount === 1
  )

const poll = Schedule.spaced("10 millis")

/** Waits until the server runs a statement of `pid`. */
const untilActive = (observer: Connection, pid: number) =>
  isActive(observer, pid).pipe(
    Effect.repeat({ schedule: poll, until: (active) => active }),
    Effect.timeout("5 seconds")
  )

const untilGone = (observer: Connection, pid: number) =>
  observer
    .query("select from pg_catalog.pg_stat_activity where pid = $1", [pid])
    .pipe(Effect.repeat({ schedule: poll, until: ({ rowCount }) => rowCount === 0 }), Effect.timeout("5 seconds"))

/** Stops the server's process behind one session until the scope closes. */
const stopped = (pid: number) =>
  Effect.acquireRelease(
    Effect.sync(() => process.kill(pid, "SIGSTOP")),
    () => Effect.sync(() => process.kill(pid, "SIGCONT"))
  )

/** Takes connections and never says a word, like a stopped server or a half-open one. */
const silentServer = Effect.acquireRelease(
  Effect.async<{ readonly port: number; readonly sockets: Set<Net.Socket>; readonly close: () => void }>((resume) => {
    const sockets = new Set<Net.Socket>()
    const server = Net.createServer((socket) => {
      sockets.add(socket)
      // Only a socket that is read notices that its other end was closed.
      socket.on("error", () => {}).resume()
      socket.on("close", () => sockets.delete(socket))
    })
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const close = () => {
        for (const socket of sockets) socket.destroy()
        server.close()
      }
      resume(Effect.succeed({ port, sockets, close }))
    })
  }),
  ({ close }) => Effect.sync(close)
)

const seconds = (duration: Duration.Duration) => Duration.toMillis(duration) / 1000

const count = (session: Connection) =>
  Effect.map(session.query("select count(*)::int as n from t"), ({ rows }) => rows[0]?.["n"])

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
        Effect.timeout("2 seconds")
      )
    })
  )

  it.scopedLive("closes its socket when interrupted while connecting", () =>
    Effect.gen(function* () {
      const { port, sockets } = yield* silentServer
      const url = Redacted.make(`postgresql://app@127.0.0.1:${port}/d`)
      const fiber = yield* Effect.fork(Effect.scoped(connect({ url, applicationName: "test" })))
      const size = Effect.sync(() => sockets.size)
      yield* size.pipe(Effect.repeat({ schedule: poll, until: (open) => open === 1 }), Effect.timeout("2 seconds"))
      const [elapsed] = yield* Effect.timed(Fiber.interrupt(fiber))
      expect(seconds(elapsed)).toBeLessThan(0.5)
      yield* size.pipe(Effect.repeat({ schedule: poll, until: (open) => open === 0 }), Effect.timeout("2 seconds"))
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

  it.scopedLive("cancels its statement in the server when interrupted, and the session goes on", () =>
    Effect.gen(function* () {
      const { session, observer } = yield* sessions
      const fiber = yield* Effect.fork(session.query("select pg_sleep(30)"))
      yield* untilActive(observer, session.backendPid)
      const [elapsed] = yield* Effect.timed(Fiber.interrupt(fiber))
      expect(seconds(elapsed)).toBeLessThan(1)
      expect(yield* isActive(observer, session.backendPid)).toBe(false)
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
            Effect.timeout("2 seconds")
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

describe("Connection.copyIn", () => {
  /** PostgreSQL's COPY text format: these four are all that a text value must escape. */
  const escaped = (text: string) =>
    text.replaceAll("\\", "\\\\").replaceAll("\t", "\\t").replaceAll("\n", "\\n").replaceAll("\r", "\\r")

  it.scopedLive("brings any text into the table as it was", () =>
    Effect.gen(function* () {
      const { session } = yield* sessions
      yield* session.query("create table t (id int, note text)")
      const notes = [
        "tab\there",
        "line\nbreak",
        "\r\n",
        "back\\slash",
        "\\N",
        "\\.",
        "",
        " ",
        "né ☃ 🎉",
        "x".repeat(300_000),
        // NUL is refused by PostgreSQL, a lone surrogate is not text.
        ...FastCheck.sample(FastCheck.fullUnicodeString(), { numRuns: 200, seed: 1 }).map((text) =>
          text.replaceAll("\0", "")
        )
      ]
      yield* session.copyIn("copy t from stdin", notes.map((note, index) => `${index}\t${escaped(note)}\n`).join(""))
      const { rows } = yield* session.query("select note from t order by id")
      expect(rows.map(({ note }) => note)).toEqual(notes)
    })
  )

  it.scopedLive("accepts an empty buffer", () =>
    Effect.gen(function* () {
      const { session } = yield* sessions
      yield* session.query("create table t (id int)")
      yield* session.copyIn("copy t from stdin", "")
      expect(yield* count(session)).toBe(0)
    })
  )

  it.scopedLive("fails with the SQLSTATE of a bad row or a missing table, and leaves the session usable", () =>
    Effect.gen(function* () {
      const { session } = yield* sessions
      yield* session.query("create table t (id int)")
      for (let round = 0; round < 20; round++) {
        const bad = yield* Effect.flip(session.copyIn("copy t from stdin", `1\nnot a number\n${"3\n".repeat(50_000)}`))
        expect(bad).toMatchObject({ phase: "statement", sqlstate: "22P02" })
        const missing = yield* Effect.flip(session.copyIn("copy missing from stdin", "1\n"))
        expect(missing).toMatchObject({ phase: "statement", sqlstate: "42P01" })
        yield* session.transaction(session.copyIn("copy t from stdin", "1\n2\n"))
      }
      expect(yield* count(session)).toBe(40)
    })
  )

  it.scopedLive("ends at the deadline when the server stops, and can be interrupted", () =>
    Effect.gen(function* () {
      const { url, observer, session } = yield* sessions
      yield* observer.query("create table t (id int)")
      const locker = yield* connect({ url, applicationName: "test locker" })
      yield* locker.query("begin; lock table t in exclusive mode")
      const fiber = yield* Effect.fork(session.copyIn("copy t from stdin", "1\n"))
      yield* untilActive(observer, session.backendPid)
      const [interrupted] = yield* Effect.timed(Fiber.interrupt(fiber))
      expect(seconds(interrupted)).toBeLessThan(1)
      const hurried = yield* connect({ url, applicationName: "test", deadline: "300 millis" })
      const [elapsed, error] = yield* Effect.timed(
        Effect.flip(hurried.copyIn("copy t from stdin", "1\n".repeat(1_000_000)))
      )
      expect(error.reason).toContain("no answer within 300ms")
      expect(seconds(elapsed)).toBeLessThan(1)
      yield* locker.query("rollback")
      expect((yield* session.query("select 1 as one")).rows).toEqual([{ one: 1 }])
      yield* Effect.sleep("100 millis")
      expect(yield* count(observer)).toBe(0)
    })
  )
})
