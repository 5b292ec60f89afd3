import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { count, seconds, sessions, untilActive } from "../../support/platform/Sessions.ts"

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

  it.scopedLive("leaves the session usable where a piece is refused, or cannot be made", () =>
    Effect.gen(function* () {
      const { session } = yield* sessions
      yield* session.query("create table t (id int)")
      const good = () => "1\n".repeat(20_000)
      const refused = [good, () => "not a number\n", good, good, good]
      const bad = yield* Effect.flip(session.copyIn("copy t from stdin", refused))
      expect(bad).toMatchObject({ phase: "statement", sqlstate: "22P02" })
      const broken = () => {
        throw new Error("no text for this row")
      }
      const failed = yield* Effect.flip(session.copyIn("copy t from stdin", [good, broken, good]))
      expect(failed.reason).toContain("no text for this row")
      expect(yield* count(session)).toBe(0)
      yield* session.copyIn("copy t from stdin", [good, good])
      expect(yield* count(session)).toBe(40_000)
    })
  )

  it.scopedLive("closes the session where its socket is lost between two pieces", () =>
    Effect.gen(function* () {
      const { observer, session } = yield* sessions
      yield* observer.query("create table t (id int)")
      const pieces = [() => "1\n", () => "2\n"]
      const lost = Effect.zipRight(
        Effect.yieldNow(),
        observer.query("select pg_terminate_backend($1)", [session.backendPid])
      )
      const endless = Array.from({ length: 100_000 }, (_, index) => pieces[index % 2] ?? (() => "3\n"))
      const [error] = yield* Effect.all([Effect.flip(session.copyIn("copy t from stdin", endless)), lost], {
        concurrency: 2
      })
      expect(error.phase).toBe("statement")
      yield* Effect.flip(session.query("select 1"))
      expect(session.isOpen()).toBe(false)
      expect(yield* count(observer)).toBe(0)
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
