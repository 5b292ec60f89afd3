import { randomUUID } from "node:crypto"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import { errorText } from "./ErrorResponse.ts"

/** Longer headers, the URL among them, are refused with 431; a token takes most of what is allowed. */
export const maximumHeaderBytes = 32 * 1024

/** Node's code for a request that did not arrive in time. */
export const requestTimedOut = "ERR_HTTP_REQUEST_TIMEOUT"

const code = "unreadable_request"

/** What Node could not read as a request at all gets the body of every other refusal; there is nothing to decide or record. */
export const refuseUnreadable = (error: NodeJS.ErrnoException, socket: Duplex): void => {
  if (!socket.writable) return void socket.destroy()
  const id = randomUUID()
  const answer =
    error.code === "HPE_HEADER_OVERFLOW"
      ? { status: "431 Request Header Fields Too Large", message: `the headers are over ${maximumHeaderBytes} bytes` }
      : error.code === requestTimedOut
        ? { status: "408 Request Timeout", message: "the request did not arrive in time" }
        : { status: "400 Bad Request", message: "this is not an HTTP request" }
  const body = errorText({ code, message: answer.message, requestId: id })
  socket.end(
    `HTTP/1.1 ${answer.status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
      `x-request-id: ${id}\r\nconnection: close\r\n\r\n${body}`
  )
}

/** RFC 9112, section 3.2: such a request must be refused. Node would do it by itself, with neither id nor body. */
export const namesNoHost = ({ headers, httpVersion }: IncomingMessage): boolean =>
  httpVersion === "1.1" && headers.host === undefined

export const refuseHostless = (request: IncomingMessage, id: string, response: ServerResponse): void => {
  // Read to its end: a connection that is closed on an unread body is reset, and the answer with it.
  request.resume()
  const body = errorText({ code, message: "an HTTP/1.1 request names its host", requestId: id })
  response.writeHead(400, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    connection: "close"
  })
  response.end(body)
}
