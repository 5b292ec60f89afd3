import type { IncomingMessage } from "node:http"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"

const cutOff = new WeakSet<IncomingMessage>()

/** Says, before the connection is closed, that the server does it and not the client. */
export const markCutOff = (request: IncomingMessage): void => {
  cutOff.add(request)
}

/** Whether the server's own end came before the answer's: to the handler both look like a client that hung up. */
export const wasCutOff = (request: HttpServerRequest.HttpServerRequest): boolean =>
  cutOff.has(NodeHttpServerRequest.toIncomingMessage(request))
