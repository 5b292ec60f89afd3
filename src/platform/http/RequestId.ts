import { randomUUID } from "node:crypto"
import type { IncomingMessage } from "node:http"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"

/**
 * What a client may send: it ends up in logs, rows and headers, so nothing that could forge any of these, and no more than a row
 * of the trail holds. Base64 and the ids of the usual proxies are acceptable.
 */
const acceptable = /^[A-Za-z0-9._:~@+/=-]{1,100}$/

/**
 * Gives the request its id: the client's `X-Request-Id` where it is acceptable, else a new one. It is written back to the
 * request's headers, so that everything behind the listener reads one value.
 */
export const assignRequestId = (request: IncomingMessage): string => {
  const given = request.headers["x-request-id"]
  if (typeof given === "string" && acceptable.test(given)) return given
  const id = randomUUID()
  request.headers["x-request-id"] = id
  return id
}

export const requestId = (request: HttpServerRequest.HttpServerRequest): string => request.headers["x-request-id"] ?? ""
