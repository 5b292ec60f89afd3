import type { IncomingMessage } from "node:http"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"

/** Why the server closed a connection before the answer was complete: it stopped, or the request did not arrive in time. */
export type DisconnectReason = "shutdown" | "timeout"

const cutOff = new WeakMap<IncomingMessage, DisconnectReason>()

/** Records the reason before the server closes the connection: to a handler it looks like a client that hung up. */
export const markDisconnect = (request: IncomingMessage, why: DisconnectReason): void => {
  cutOff.set(request, why)
}

/** Returns undefined if the server did not close the connection. */
export const disconnectReasonOf = (request: IncomingMessage): DisconnectReason | undefined => cutOff.get(request)

/** The same for a handler's request. */
export const disconnectReason = (request: HttpServerRequest.HttpServerRequest): DisconnectReason | undefined =>
  disconnectReasonOf(NodeHttpServerRequest.toIncomingMessage(request))
