import type { IncomingMessage } from "node:http"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"

/** Why the server closes a connection before the answer is whole: its own end came, or the request did not arrive in time. */
export type DisconnectReason = "shutdown" | "timeout"

const cutOff = new WeakMap<IncomingMessage, DisconnectReason>()

/** Says, before the connection is closed, that the server does it and not the client. */
export const markDisconnect = (request: IncomingMessage, why: DisconnectReason): void => {
  cutOff.set(request, why)
}

/** Why the server closed the connection; undefined where it did not. */
export const disconnectReasonOf = (request: IncomingMessage): DisconnectReason | undefined => cutOff.get(request)

/** The same, for a handler: to it both look like a client that hung up. */
export const disconnectReason = (request: HttpServerRequest.HttpServerRequest): DisconnectReason | undefined =>
  disconnectReasonOf(NodeHttpServerRequest.toIncomingMessage(request))
