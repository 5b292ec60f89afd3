import * as Net from "node:net"
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { type DatabaseUnreachable, waitUntilReachable } from "../../../src/platform/postgres/Database.ts"
import { closedPort } from "../../support/ClosedPort.ts"
import { socketOf } from "../../support/PostgresSocket.ts"
import { changed, listening, logged, secretUrl } from "../../support/platform/DatabaseServers.ts"
import { skipBecause } from "../../support/SkipBecause.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const refusalOf = (url: Redacted.Redacted, deadline: Duration.DurationInput) =>
  Effect.map(
    Effect.timed(logged(Effect.flip(waitUntilReachable(url, Duration.decode(deadline))))),
    ([elapsed, { result, lines }]): {
      readonly error: DatabaseUnreachable
      readonly lines: ReadonlyArray<string>
      readonly millis: number
    } => ({ error: result, lines, millis: Duration.toMillis(elapsed) })
  )

const accepts = (url: Redacted.Redacted) =>
  Effect.scoped(Effect.isSuccess(connect({ url, applicationName: "gravitas test" })))

describe("waitUntilReachable", () => {
  it.scopedLive("says nothing when the server answers at once", () =>
    Effect.gen(function* () {
      const { lines } = yield* logged(waitUntilReachable(yield* freshDatabase, Duration.seconds(10)))
      expect(lines).toEqual([])
    })
  )

  it.live("tries an absent server until the deadline, with a line per attempt, and never shows the password", () =>
    Effect.gen(function* () {
      const port = yield* closedPort
      const { error, lines, millis } = yield* refusalOf(secretUrl(port), "1200 millis")
      expect(millis).toBeGreaterThanOrEqual(1200)
      expect(millis).toBeLessThan(2200)
      // Pauses of 200, 400 and what is left of 800 ms.
      expect(lines).toHaveLength(3)
      lines.forEach((line, index) => {
        expect(line).toContain(`WARN PostgreSQL is not reachable at postgresql://app@127.0.0.1:${port}/gravitas`)
        expect(line).toContain(
          `(attempt ${index + 1}: nothing listens on 127.0.0.1:${port} (ECONNREFUSED)); trying again in `
        )
      })
      expect(error._tag).toBe("DatabaseUnreachable")
      expect(error.attempts).toBe(4)
      expect(error.message).toContain(`cannot connect to postgresql://app@127.0.0.1:${port}/gravitas`)
      expect(error.message).toContain("DATABASE_URL")
      expect(error.message).toContain("DATABASE_CONNECT_DEADLINE")
      expect([...lines, error.message, JSON.stringify(error), String(error)].join()).not.toContain("hunter2")
    })
  )

  it.scopedLive("counts the time that its attempts take, not only the pauses between them", () =>
    Effect.gen(function* () {
      const silent = yield* listening(0, (socket) => socket.resume())
      const { error, millis } = yield* refusalOf(secretUrl(silent.port), "1 second")
      expect(millis).toBeGreaterThanOrEqual(1000)
      expect(millis).toBeLessThan(2000)
      expect(error.cause).toMatchObject({ phase: "connect" })
      expect(error.waited).toMatch(/^1s/)
    })
  )

  it.scopedLive("goes on as soon as a server that was away is there", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const port = yield* closedPort
      const arrival = listening(port, (socket) => {
        const server = Net.connect(socketOf(url)).on("error", () => {})
        socket.pipe(server)
        server.pipe(socket)
      })
      yield* Effect.forkScoped(Effect.zipRight(Effect.sleep("450 millis"), Effect.zipRight(arrival, Effect.never)))
      const proxied = changed(url, (parts) => {
        parts.hostname = "127.0.0.1"
        parts.port = String(port)
      })
      const [elapsed, { lines }] = yield* Effect.timed(logged(waitUntilReachable(proxied, Duration.seconds(20))))
      expect(lines.length).toBeGreaterThanOrEqual(2)
      expect(Duration.toMillis(elapsed)).toBeLessThan(3000)
    })
  )

  const useless: ReadonlyArray<readonly [what: string, sqlstate: RegExp, change: (parts: URL) => void]> = [
    ["a wrong password", /^28P01$/, (parts) => Object.assign(parts, { password: "hunter2" })],
    ["an unknown role", /^28/, (parts) => Object.assign(parts, { username: "nobody_here", password: "hunter2" })],
    ["an absent database", /^3D000$/, (parts) => Object.assign(parts, { pathname: "/nothing_here" })]
  ]
  for (const [what, sqlstate, change] of useless) {
    it.scopedLive(`fails at once where waiting does not help: ${what}`, (context) =>
      Effect.gen(function* () {
        const url = changed(yield* freshDatabase, change)
        if (what === "a wrong password" && (yield* accepts(url))) {
          skipBecause(context, "the server does not check passwords (trust authentication)")
        }
        const { error, lines, millis } = yield* refusalOf(url, "30 seconds")
        expect(error.cause.sqlstate).toMatch(sqlstate)
        expect(error.attempts).toBe(1)
        expect(lines).toEqual([])
        expect(millis).toBeLessThan(3000)
        expect(error.message).not.toContain("hunter2")
      })
    )
  }
})
