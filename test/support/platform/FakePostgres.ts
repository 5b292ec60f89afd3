import type * as Net from "node:net"
import * as Tls from "node:tls"
import * as Effect from "effect/Effect"
import { listening } from "./DatabaseServers.ts"

/** What a server asks for when a client connects: see "Message Formats" of PostgreSQL's protocol. */
export type Question = "clear text" | "md5" | "nothing" | "SCRAM, and gives up on it"

const message = (type: string, ...parts: ReadonlyArray<Buffer>): Buffer => {
  const body = Buffer.concat(parts)
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

const questions: Readonly<Record<Question, Buffer>> = {
  nothing: Buffer.alloc(0),
  "clear text": message("R", int32(3)),
  md5: message("R", int32(5), Buffer.from("salt")),
  "SCRAM, and gives up on it": message("R", int32(10), Buffer.from("SCRAM-SHA-256\0\0"))
}

/** AuthenticationOk, the version and ReadyForQuery: the client is let in. */
const welcomeOf = (version: string) =>
  Buffer.concat([
    message("R", int32(0)),
    message("S", Buffer.from(`server_version\0${version}\0`)),
    message("Z", Buffer.from("I"))
  ])

const sslRequest = 80_877_103

export interface FakePostgres {
  readonly port: number
  /** Messages that clients sent after the first one, as text: passwords and statements. */
  readonly heard: ReadonlyArray<string>
  readonly connections: () => number
}

/**
 * A program on a port of PostgreSQL that asks for the password as it likes. It lets its client in at once, in the same packet as the
 * question, unless it is patient: then after the answer.
 */
export const fakePostgres = (options: {
  readonly asks: Question
  readonly patient?: boolean
  /** The port; by default any free one. */
  readonly at?: number
  readonly version?: string
  readonly tls?: Tls.SecureContextOptions
}) =>
  Effect.gen(function* () {
    const heard: Array<string> = []
    const welcome = welcomeOf(options.version ?? "17.2")
    let connections = 0
    const serve = (socket: Net.Socket) => {
      let greeted = false
      socket
        .on("error", () => {})
        .on("data", (data) => {
          if (!greeted && data.length === 8 && data.readInt32BE(4) === sslRequest) {
            socket.removeAllListeners("data")
            socket.write(options.tls === undefined ? "N" : "S")
            serve(options.tls === undefined ? socket : new Tls.TLSSocket(socket, { isServer: true, ...options.tls }))
            return
          }
          if (greeted) {
            heard.push(data.toString("latin1"))
            if (data.toString("latin1").startsWith("p")) socket.write(welcome)
            return
          }
          greeted = true
          const question = questions[options.asks]
          socket.write(options.patient === true ? question : Buffer.concat([question, welcome]))
        })
    }
    const { port } = yield* listening(options.at ?? 0, (socket) => {
      connections += 1
      serve(socket)
    })
    const fake: FakePostgres = { port, heard, connections: () => connections }
    return fake
  })
