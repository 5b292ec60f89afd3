import { randomUUID } from "node:crypto"
import type { IncomingMessage } from "node:http"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"

/**
 * The ids that a client may send. They end up in logs, rows and headers, so they hold no character that could forge one, and are
 * no longer than a row of the trail allows. Base64 and the ids of the usual proxies are acceptable.
 */
const acceptable = /^[A-Za-z0-9._:~@+/=-]{1,100}$/

/**
 * Assigns the request's id: the client's `X-Request-Id` if it is acceptable, else a new one. It replaces the header, so that
 * everything behind the listener reads the same value.
 */
export const assignRequestId = (request: IncomingMessage): string => {
  const given = request.headers["x-request-id"]
  if (typeof given === "string" && acceptable.test(given)) return given
  const id = randomUUID()
  request.headers["x-request-id"] = id
  return id
}

export const requestId = (request: HttpServerRequest.HttpServerRequest): string => request.headers["x-request-id"] ?? ""
