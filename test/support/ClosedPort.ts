import { connect, createServer } from "node:net"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/** A port without a listener. */
export const closedPort = Effect.async<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** Dies if a program answers. */
const knock = (port: number) =>
  Effect.async<void>((resume) => {
    const socket = connect(port, "127.0.0.1")
    socket.once("connect", () => resume(Effect.dieMessage(`port ${port} is open`)))
    socket.once("error", () => resume(Effect.void))
    return Effect.sync(() => socket.destroy())
  })

/** Does the work, and dies when the port opens before it is done. */
export const whileClosed = <A, E, R>(port: number, work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.raceFirst(work, Effect.forever(Effect.delay(knock(port), "5 millis")))

/** Waits until the port is closed. */
export const untilClosed = (port: number): Effect.Effect<void> =>
  Effect.sandbox(knock(port)).pipe(Effect.retry(Schedule.spaced("10 millis")), Effect.orDie)
