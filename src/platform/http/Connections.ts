import { randomUUID } from "node:crypto"
import type * as Http from "node:http"
import type * as Net from "node:net"
import type { Duplex } from "node:stream"
import type { ErrorCode } from "../../contracts/ErrorCodes.ts"
import { errorText } from "./ErrorResponse.ts"
import { maximumHeaderBytes } from "./Tls.ts"

export const requestTimedOut = "ERR_HTTP_REQUEST_TIMEOUT"
export const unreadableRequest = "unreadable_request"

/** Answers a connection without a request that Node could read, in the usual shape, and closes it. Records no event. */
const closeWith = (socket: Duplex, status: string, code: ErrorCode, message: string): void => {
  if (!socket.writable) return void socket.destroy()
  const requestId = randomUUID()
  const body = errorText({ code, message, requestId })
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
      `x-request-id: ${requestId}\r\nconnection: close\r\n\r\n${body}`
  )
}

/** Answers bytes that Node cannot parse. */
export const refuseUnreadable = (error: NodeJS.ErrnoException, socket: Duplex): void => {
  if (/^ERR_(SSL|TLS)/.test(error.code ?? "")) socket.destroy()
  else if (error.code === "HPE_HEADER_OVERFLOW") {
    const message = `the headers are over ${maximumHeaderBytes} bytes`
    closeWith(socket, "431 Request Header Fields Too Large", unreadableRequest, message)
  } else if (error.code === requestTimedOut) {
    closeWith(socket, "408 Request Timeout", unreadableRequest, "the request did not arrive in time")
  } else {
    closeWith(socket, "400 Bad Request", unreadableRequest, "this is not an HTTP request")
  }
}

/** Answers a connection that is one too many, before it sends anything. */
const refuseConnection = (socket: Net.Socket): void =>
  closeWith(
    socket,
    "503 Service Unavailable\r\nretry-after: 1",
    "too_many_connections",
    "all connections of this service are in use; try again in a second"
  )

/** The other end of a connection: the only thing that a TLS socket and the TCP socket below it share in public. */
const peerOf = ({ remoteAddress, remotePort }: Net.Socket): string => `${remoteAddress} ${remotePort}`

/** TCP connections whose TLS handshake is not complete, oldest first. One too many closes the oldest: no answer is possible yet. */
const boundedHandshakes = (maximum: number) => {
  const pending = new Map<string, Net.Socket>()
  return {
    began: (socket: Net.Socket): void => {
      const peer = peerOf(socket)
      pending.set(peer, socket)
      socket.once("close", () => {
        if (pending.get(peer) === socket) pending.delete(peer)
      })
      if (pending.size <= maximum) return
      const [oldest] = pending.values()
      oldest?.destroy()
    },
    completed: (socket: Net.Socket): void => void pending.delete(peerOf(socket)),
    closeAll: (): void => {
      for (const socket of pending.values()) socket.destroy()
    }
  }
}

/** Open connections, in the order of their last use. One too many closes the first without a request in flight, or is refused. */
export const boundedConnections = (maximum = Number.POSITIVE_INFINITY, inFlight: ReadonlySet<Http.ServerResponse>) => {
  const open = new Set<Net.Socket>()
  const handshakes = boundedHandshakes(maximum)
  const makeRoom = (newest: Net.Socket): void => {
    const busy = new Set(Array.from(inFlight, ({ req }) => req.socket))
    for (const socket of open) if (socket !== newest && !busy.has(socket)) return void socket.destroy()
    refuseConnection(newest)
  }
  return {
    /** A TCP connection whose handshake begins; `opened` follows. As many may be in it as may be open. */
    handshake: handshakes.began,
    closeHandshakes: handshakes.closeAll,
    opened: (socket: Net.Socket): void => {
      handshakes.completed(socket)
      open.add(socket)
      if (open.size > maximum) makeRoom(socket)
    },
    used: (socket: Net.Socket): void => {
      if (open.delete(socket)) open.add(socket)
    },
    closed: (socket: Net.Socket): void => void open.delete(socket)
  }
}
