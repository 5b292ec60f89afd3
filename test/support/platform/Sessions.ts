import * as Net from "node:net"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { type Connection, connect } from "../../../src/platform/postgres/Connection.ts"
import { freshDatabase } from "../TestDatabase.ts"

/** Two sessions on one database of their own: the one that is tested, and one that looks on. */
export const sessions = Effect.gen(function* () {
  const url = yield* freshDatabase
  const observer = yield* connect({ url, applicationName: "test observer" })
  const session = yield* connect({ url, applicationName: "test session" })
  return { url, observer, session }
})

export const isActive = (observer: Connection, pid: number) =>
  Effect.map(
    observer.query("select from pg_catalog.pg_stat_activity where pid = $1 and state = 'active'", [pid]),
    ({ rowCount }) => rowCount === 1
  )

export const poll = Schedule.spaced("10 millis")

/** Waits until the server runs a statement of `pid`. */
export const untilActive = (observer: Connection, pid: number) =>
  isActive(observer, pid).pipe(
    Effect.repeat({ schedule: poll, until: (active) => active }),
    Effect.timeout("20 seconds")
  )

export const untilGone = (observer: Connection, pid: number) =>
  observer
    .query("select from pg_catalog.pg_stat_activity where pid = $1", [pid])
    .pipe(Effect.repeat({ schedule: poll, until: ({ rowCount }) => rowCount === 0 }), Effect.timeout("20 seconds"))

/** Stops the server's process behind one session until the scope closes. */
export const stopped = (pid: number) =>
  Effect.acquireRelease(
    Effect.sync(() => process.kill(pid, "SIGSTOP")),
    () => Effect.sync(() => process.kill(pid, "SIGCONT"))
  )

/** Takes connections and never says a word, like a stopped server or a half-open one. */
export const silentServer = Effect.acquireRelease(
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

export const seconds = (duration: Duration.Duration) => Duration.toMillis(duration) / 1000

export const count = (session: Connection) =>
  Effect.map(session.query("select count(*)::int as n from t"), ({ rows }) => rows[0]?.["n"])
