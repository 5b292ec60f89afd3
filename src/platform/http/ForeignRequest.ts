import type { IncomingMessage } from "node:http"
import { type ErrorCode, statusOf } from "../../contracts/ErrorCodes.ts"
import { isLoopback } from "../config/Loopback.ts"

/** Why a request is refused that a foreign web page may have caused. */
export interface ForeignRequest {
  readonly status: number
  readonly code: Extract<ErrorCode, "foreign_request" | "unsupported_media_type">
  readonly message: string
}

export interface BrowserRules {
  /** Names of the service besides those of this machine, in lower case. */
  readonly names: ReadonlyArray<string>
  /** Origins of other pages that may use the service, such as `https://app.example`. */
  readonly origins: ReadonlySet<string>
  /** Whether every request is looked at: where no token is asked for, a page of any site could act as the caller. */
  readonly always: boolean
}

const hostnameOf = (authority: string): string => authority.toLowerCase().replace(/:\d*$/, "")

const json = /^application\/([\w.+-]+\+)?json *(;|$)/i

const refusal = (code: ForeignRequest["code"], message: string): ForeignRequest => ({
  status: statusOf(code),
  code,
  message
})

const foreign = (message: string) => refusal("foreign_request", message)

const originHost = (origin: string): string | undefined => (URL.canParse(origin) ? new URL(origin).host : undefined)

/**
 * Looks at a request that comes from a browser, or at every one: its Host must be a name of the service, against DNS rebinding, its
 * origin the service's own, and a body JSON, which another site cannot send without asking first.
 */
export const foreignRequest = (
  { headers, method }: Pick<IncomingMessage, "headers" | "method">,
  { always, names, origins }: BrowserRules
): ForeignRequest | undefined => {
  const { origin, "sec-fetch-site": site } = headers
  if (!always && origin === undefined && site === undefined) return undefined
  const host = (headers.host ?? "").toLowerCase()
  const hostname = hostnameOf(host)
  if (!isLoopback(hostname) && !names.includes(hostname)) {
    return foreign("the Host is not a name of this service; ask for 127.0.0.1, or add the name to ALLOWED_HOSTS")
  }
  const isLink = (method === "GET" || method === "HEAD") && headers["sec-fetch-mode"] === "navigate"
  const from = origin === undefined ? host : originHost(origin)
  const isOwn = from === host || names.includes(hostnameOf(from ?? ""))
  if (!isOwn && (origin === undefined || !origins.has(origin))) {
    return foreign("the request comes from a page of another origin; add its host to ALLOWED_HOSTS if it is yours")
  }
  if (typeof site === "string" && site !== "same-origin" && site !== "none" && !isLink && origin === undefined) {
    return foreign("the request comes from a page of another site")
  }
  const hasBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0
  return hasBody && !json.test(headers["content-type"] ?? "")
    ? refusal("unsupported_media_type", "the content-type must be application/json")
    : undefined
}
