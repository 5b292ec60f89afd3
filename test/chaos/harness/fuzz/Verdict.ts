import { type Endpoint, isObject } from "./Document.ts"
import type { Input } from "./Inputs.ts"

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly text: string
}

/** What the listener and the router's frame answer on any route, by its status; with another code it is the route's own answer. */
const anywhere: Readonly<Record<number, string>> = {
  400: "unreadable_request",
  404: "not_found",
  405: "method_not_allowed",
  408: "unreadable_request",
  431: "unreadable_request"
}

const acceptableId = /^[A-Za-z0-9._:~@+/=-]{1,100}$/

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The row that an answer names. */
export const auditIdOf = ({ headers, text }: Answer): string | undefined => {
  const body = parsed(text)
  const error = isObject(body) ? body["error"] : undefined
  const named = [
    isObject(body) ? body["audit_id"] : undefined,
    isObject(error) ? error["audit_id"] : undefined,
    headers["x-audit-id"]
  ]
  return named.find((id) => typeof id === "string")
}

const codeOf = (text: string): unknown => {
  const body = parsed(text)
  const error = isObject(body) ? body["error"] : undefined
  return isObject(error) ? error["code"] : undefined
}

const isText = (value: unknown): boolean => typeof value === "string"

/** An error's body is ours, or OpenAI's or OAuth's on the paths that speak it; `/health` and `/readyz` tell the same in 200 and 503. */
const isErrorBody = (endpoint: Endpoint, text: string, requestId: unknown): boolean => {
  const body = parsed(text)
  if (!isObject(body)) return false
  const error = body["error"]
  if (endpoint.path === "/oauth/token" && isText(error)) return isText(body["error_description"])
  if (!isObject(error)) return ["/health", "/readyz"].includes(endpoint.path) && isText(body["status"])
  if (!isText(error["message"]) || error["request_id"] !== requestId) return false
  return isText(body["detail"])
    ? isText(error["code"])
    : endpoint.path.startsWith("/v1/") && "type" in error && "code" in error
}

const isOfRoute = ({ endpoint, method }: Input): boolean =>
  method === endpoint.method || (method === "HEAD" && endpoint.method === "GET")

/** Of a HEAD's answer the status alone tells. */
const isFrames = ({ method }: Input, { status, text }: Answer): boolean =>
  status in anywhere && (method === "HEAD" || codeOf(text) === anywhere[status])

/** What services ask each second: one row a minute says that they may. Whatever is refused or malformed has its row. */
const leased: ReadonlySet<string> = new Set(["/stops", "/sessions/keep"])

const isLeased = ({ endpoint }: Input, { status }: Answer): boolean =>
  leased.has(endpoint.path) && (status === 200 || status === 503)

/**
 * Whether something was decided: by a route that asks for a token, whatever came of it, but where the trail itself could not take
 * the event. Each such request has a row.
 */
export const isDecided = (input: Input, answer: Answer): boolean =>
  isOfRoute(input) &&
  input.endpoint.statuses.has(401) &&
  !isLeased(input, answer) &&
  !isFrames(input, answer) &&
  (input.method === "HEAD" ? answer.status !== 503 : codeOf(answer.text) !== "audit_unavailable")

/** What is wrong with an answer; undefined where nothing is. */
export const problemOf = (input: Input, answer: Answer): string | undefined => {
  const { endpoint, method } = input
  const { headers, status, text } = answer
  const requestId = headers["x-request-id"]
  if (typeof requestId !== "string" || !acceptableId.test(requestId)) return "no X-Request-Id"
  const given = input.headers["x-request-id"]
  if (given !== undefined && acceptableId.test(given) && requestId !== given)
    return "another X-Request-Id than was sent"
  const isRoute = isOfRoute(input)
  const isDocumented = isRoute ? endpoint.statuses.has(status) : status < 500
  if (!isDocumented && !isFrames(input, answer)) return `status ${status} is not documented`
  if (status >= 400 && method !== "HEAD" && !isErrorBody(endpoint, text, requestId))
    return "an error in no documented shape"
  const isDecision = isRoute && endpoint.statuses.has(401) && (status === 401 || status === 403)
  if (isDecision && method !== "HEAD" && auditIdOf(answer) === undefined) return "a decision that names no row"
  return undefined
}
