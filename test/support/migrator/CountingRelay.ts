import * as Net from "node:net"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { socketOf } from "../PostgresSocket.ts"

/** Relays connections to the server of `url`, and counts texts and queries in what the clients send. */
export const countingRelay = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const target = new URL(Redacted.value(url))
    const sockets: Array<Net.Socket> = []
    let sent = ""
    let turns = 0
    let isAnswered = true
    const relay = Net.createServer((client) => {
      const server = Net.connect(socketOf(url))
      sockets.push(client, server)
      for (const socket of [client, server]) socket.on("error", () => {})
      client.on("data", (bytes) => {
        sent += bytes.toString("latin1")
        if (isAnswered) turns += 1
        isAnswered = false
      })
      server.on("data", () => {
        isAnswered = true
      })
      client.pipe(server).pipe(client)
    })
    yield* Effect.acquireRelease(
      Effect.async<void>((done) => void relay.listen(0, "127.0.0.1", () => done(Effect.void))),
      () =>
        Effect.sync(() => {
          for (const socket of sockets) socket.destroy()
          relay.close()
        })
    )
    const address = relay.address()
    const through = new URL(target)
    through.hostname = "127.0.0.1"
    through.port = typeof address === "object" && address !== null ? String(address.port) : ""
    return {
      url: Redacted.make(through.href),
      count: (text: string) => {
        const found = sent.split(text).length - 1
        sent = ""
        return found
      },
      /** How often since the last count the client sent something after an answer. */
      roundTrips: () => {
        const found = turns
        turns = 0
        return found
      },
      /** The queries since the last count: messages Query and Parse, each a letter and a length whose first byte is 0. */
      queries: () => {
        const found = sent.match(/[QP]\0/g)?.length ?? 0
        sent = ""
        return found
      }
    }
  })
