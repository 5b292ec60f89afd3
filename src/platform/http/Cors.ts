import type { IncomingMessage, ServerResponse } from "node:http"
import type { RouteTable } from "./RouteTable.ts"

/** Headers of answers that a page may read, besides those that every page may. */
const exposed = "x-request-id, x-audit-id, retry-after, retry-after-ms, x-should-retry"

/** Seconds for which a browser asks no more. */
const preflightAge = "600"

/** Names of headers, separated by commas. Tokens travel in a header, not in cookies, so any header may be sent. */
const headerNames = /^[\w!#$%&'*+.^`|~, -]{1,2000}$/

/**
 * Lets the pages of named origins use a service (the CORS protocol of the Fetch standard). Sets the headers of the answer, and answers
 * the question of a browser that comes before a request. Returns whether it answered. Other origins get no header, as without CORS.
 */
export const answerCors = (
  request: IncomingMessage,
  response: ServerResponse,
  origins: ReadonlySet<string>,
  routes: RouteTable
): boolean => {
  if (origins.size === 0) return false
  // Caches must not give the answer for one origin to another.
  response.setHeader("vary", "Origin")
  const { origin, "access-control-request-headers": asked, "access-control-request-method": method } = request.headers
  if (origin === undefined || !origins.has(origin)) return false
  response.setHeader("access-control-allow-origin", origin)
  response.setHeader("access-control-expose-headers", exposed)
  if (request.method !== "OPTIONS" || method === undefined) return false
  const route = routes(request.url ?? "")
  if (route === undefined) return false
  request.resume()
  response.writeHead(204, {
    "access-control-allow-methods": route.methods.join(", "),
    "access-control-allow-headers":
      asked !== undefined && headerNames.test(asked) ? asked : "authorization, content-type",
    "access-control-max-age": preflightAge
  })
  response.end()
  return true
}
