import * as Net from "node:net"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { socketOf } from "./PostgresSocket.ts"

/** A way to a PostgreSQL that can be cut at the worst moment. */
export interface TcpProxy {
  /** The server's connection string, through the proxy. */
  readonly url: Redacted.Redacted
  /**
   * The next simple query that is exactly `statement` reaches the server and is answered, but the answer does not reach the
   * client: its connection is cut instead. Completes when that has happened.
   */
  readonly loseAnswerTo: (statement: string) => Effect.Effect<void>
  /** The next such query does not reach the server: the connection is cut instead. Completes when that has happened. */
  readonly cutBefore: (statement: string) => Effect.Effect<void>
  /** The next such query is answered, and the answer held back for good: the connection stays. Completes when it was answered. */
  readonly holdAnswerTo: (statement: string) => Effect.Effect<void>
  /**
   * Of all that clients send from now on, `count` bytes reach the server; the connection of the next one is closed, wherever that is in
   * what it says. Completes when that has happened.
   */
  readonly cutAfter: (count: number) => Effect.Effect<void>
  /** Milliseconds that each connection from now on takes to reach the server. */
  readonly delayConnections: (millis: number) => void
  /** Connections made through the proxy so far. */
  readonly connections: () => number
}

type Fault = "lose-answer" | "cut-before" | "hold-answer"

/** PostgreSQL's protocol, "Query": Q, the length with itself, the text, NUL. */
const queryMessage = (statement: string): Buffer => {
  const text = Buffer.from(`${statement}\0`)
  const head = Buffer.alloc(5)
  head.write("Q")
  head.writeUInt32BE(text.length + 4, 1)
  return Buffer.concat([head, text])
}

/** Between the driver and the server of `url`, on a free port of the loopback interface. */
export const tcpProxy = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const target = new URL(Redacted.value(url))
    const sockets = new Set<Net.Socket>()
    let connections = 0
    let awaited: { readonly message: Buffer; readonly fault: Fault; readonly done: () => void } | undefined
    let severing: { left: number; readonly done: () => void } | undefined
    let delay = 0

    const join = (client: Net.Socket) => {
      connections += 1
      const server = new Net.Socket()
      let faulty: { readonly fault: Fault; readonly done: () => void } | undefined
      for (const socket of [client, server]) {
        sockets.add(socket)
        socket.on("error", () => {})
        socket.on("close", () => {
          sockets.delete(socket)
          client.destroy()
          server.destroy()
        })
      }
      client.on("data", (data) => {
        if (severing !== undefined) {
          if (severing.left < data.length) {
            const { done, left } = severing
            severing = undefined
            server.write(data.subarray(0, left))
            client.destroy()
            return done()
          }
          severing.left -= data.length
        }
        // The driver sends a simple query in one write, which arrives in one piece on the loopback interface.
        if (awaited?.message.equals(data) === true) {
          faulty = awaited
          awaited = undefined
        }
        if (faulty?.fault === "cut-before") {
          client.destroy()
          faulty.done()
        } else {
          server.write(data)
        }
      })
      server.on("data", (data) => {
        if (faulty === undefined) {
          client.write(data)
        } else {
          if (faulty.fault === "lose-answer") client.destroy()
          faulty.done()
        }
      })
      client.pause()
      setTimeout(() => {
        if (client.destroyed) return
        server.connect(socketOf(url))
        client.resume()
      }, delay)
    }

    const listener = yield* Effect.acquireRelease(
      Effect.async<Net.Server>((resume) => {
        const server = Net.createServer(join)
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.async<void>((resume) => {
          server.close(() => resume(Effect.void))
          for (const socket of sockets) socket.destroy()
        })
    )
    const address = listener.address()
    const through = new URL(target.href)
    through.hostname = "127.0.0.1"
    through.port = typeof address === "object" && address !== null ? String(address.port) : ""
    const afflict = (fault: Fault) => (statement: string) =>
      Effect.async<void>((resume) => {
        const waiting = { message: queryMessage(statement), fault, done: () => resume(Effect.void) }
        awaited = waiting
        // Who no longer waits for it does not want it to happen.
        return Effect.sync(() => {
          if (awaited === waiting) awaited = undefined
        })
      })
    const cutAfter = (count: number) =>
      Effect.async<void>((resume) => {
        const cut = { left: count, done: () => resume(Effect.void) }
        severing = cut
        return Effect.sync(() => {
          if (severing === cut) severing = undefined
        })
      })
    const proxy: TcpProxy = {
      url: Redacted.make(through.href),
      connections: () => connections,
      loseAnswerTo: afflict("lose-answer"),
      cutBefore: afflict("cut-before"),
      holdAnswerTo: afflict("hold-answer"),
      cutAfter,
      delayConnections: (millis) => {
        delay = millis
      }
    }
    return proxy
  })
