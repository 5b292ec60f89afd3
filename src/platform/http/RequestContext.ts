import { randomFillSync, randomUUID } from "node:crypto"
import type { IncomingMessage } from "node:http"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import * as Tracer from "effect/Tracer"
import type { RecorderMark } from "../../domain/AuditEvent.ts"

/**
 * The ids that a client may send. They end up in logs, rows and headers, so they hold no character that could forge one, and are
 * no longer than a row of the trail allows. Base64 and the ids of the usual proxies are acceptable.
 */
const acceptable = /^[A-Za-z0-9._:~@+/=-]{1,100}$/

/**
 * The header that names the ids which came with the request: `request`, `trace` or `both`. No client can send it, since HTTP/1.1 has
 * no colon in a header's name.
 */
const givenIds = ":given-ids"

/** Assigns the client's `X-Request-Id` if it is acceptable, else a new id. It replaces the header, which all behind the listener read. */
export const assignRequestId = ({ headers }: Pick<IncomingMessage, "headers">): string => {
  const given = headers["x-request-id"]
  if (typeof given === "string" && acceptable.test(given)) {
    headers[givenIds] = "request"
    return given
  }
  const id = randomUUID()
  headers["x-request-id"] = id
  return id
}

/** The id that `assignRequestId` assigned. */
export const requestIdOf = ({ "x-request-id": id }: IncomingMessage["headers"]): string =>
  typeof id === "string" ? id : ""

export const requestId = ({ headers }: HttpServerRequest.HttpServerRequest): string => requestIdOf(headers)

/** The trace that a request belongs to (W3C Trace Context, level 1). */
interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** 16 hexadecimal digits: the calling span. */
  readonly parentId: string
  readonly sampled: boolean
}

const wellFormed = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const onlyZeros = /^0+$/

/**
 * Parses a `traceparent` by section 3.2 of the recommendation: lower case, no zero ids, version 00 exact in length, a later
 * version by the fields it shares with 00, version ff never. Returns undefined for anything else; then a new trace begins.
 */
export const parseTraceparent = (text: string): TraceContext | undefined => {
  const [, version, traceId, parentId, flags, rest] = wellFormed.exec(text) ?? []
  if (version === undefined || traceId === undefined || parentId === undefined || flags === undefined) return undefined
  if (version === "ff" || (version === "00" && rest !== undefined)) return undefined
  if (onlyZeros.test(traceId) || onlyZeros.test(parentId)) return undefined
  return { traceId, parentId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

export const traceparentOf = ({ parentId, sampled, traceId }: TraceContext): string =>
  `00-${traceId}-${parentId}-${sampled ? "01" : "00"}`

const stateMember =
  /^[ \t]*(?:([a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]))?[ \t]*$/

/** Section 3.3: up to 32 members, no key twice. A longer text than vendors must pass on (512 characters) is dropped. */
export const isTracestate = (text: string): boolean => {
  if (text.length > 512) return false
  const members = text.split(",")
  if (members.length > 32) return false
  const keys = new Set<string>()
  for (const member of members) {
    const found = stateMember.exec(member)
    if (found === null) return false
    const key = found[1]
    if (key === undefined) continue
    if (keys.has(key)) return false
    keys.add(key)
  }
  return true
}

/** Removes malformed trace headers, so that everything behind the listener reads only well-formed ones. */
export const admitTraceContext = ({ headers }: Pick<IncomingMessage, "headers">): void => {
  const given = headers["traceparent"]
  const trace = typeof given === "string" ? parseTraceparent(given) : undefined
  if (trace === undefined) {
    delete headers["traceparent"]
    delete headers["tracestate"]
    return
  }
  headers["traceparent"] = traceparentOf(trace)
  headers[givenIds] = headers[givenIds] === undefined ? "trace" : "both"
  const state = headers["tracestate"]
  if (state !== undefined && (typeof state !== "string" || !isTracestate(state))) delete headers["tracestate"]
}

/** The ids of a trace and of a span: 32 and 16 digits. */
const bytesPerTrace = 24
/** A call for random bytes costs more than all other steps, however many bytes it returns. */
const randomBlock = Buffer.alloc(bytesPerTrace * 128)
let randomUsed = randomBlock.length

const randomDigits = (): string => {
  if (randomUsed === randomBlock.length) {
    randomFillSync(randomBlock)
    randomUsed = 0
  }
  const start = randomUsed
  randomUsed += bytesPerTrace
  return randomBlock.toString("hex", start, randomUsed)
}

/** Begins a trace if the client sent none. For servers without tracing; with tracing, the server span begins it. */
export const beginTrace = ({ headers }: Pick<IncomingMessage, "headers">): void => {
  if (headers["traceparent"] !== undefined) return
  const digits = randomDigits()
  headers["traceparent"] = traceparentOf({ traceId: digits.slice(0, 32), parentId: digits.slice(32), sampled: false })
}

/** A request, as far as its sender and its headers are known. */
export interface RequestSource {
  readonly headers: IncomingMessage["headers"]
  readonly socket?: { readonly remoteAddress?: string | undefined }
  /** Of a call in this process: the request that its client handles. */
  readonly caller?: RequestSource | undefined
}

/** The request that a fiber of the fast lane or of a call in this process handles; it has no `HttpServerRequest`. */
export class HandledRequest extends Context.Tag("platform/http/HandledRequest")<HandledRequest, RequestSource>() {}

type HeaderValues = Readonly<Record<string, string | undefined>>

/** The headers of the request that is handled in this context, on either lane. */
export const requestHeaders = ({ unsafeMap }: Context.Context<never>): HeaderValues | undefined =>
  unsafeMap.get(HandledRequest.key)?.headers ?? unsafeMap.get(HttpServerRequest.HttpServerRequest.key)?.headers

/** The request that came from outside and is handled in this context, also behind calls in this process; undefined where none did. */
export const requestSource = ({ unsafeMap }: Context.Context<never>): RequestSource | undefined => {
  const handled: RequestSource | undefined = unsafeMap.get(HandledRequest.key)
  if (handled !== undefined) return handled.caller ?? handled
  const request = unsafeMap.get(HttpServerRequest.HttpServerRequest.key)
  return request === undefined ? undefined : NodeHttpServerRequest.toIncomingMessage(request)
}

/** The trace headers of a call to another service: from the current span, else those of the request being handled. */
export const outgoingTrace = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Readonly<Record<string, string>> => {
  const headers = requestHeaders(fiber.currentContext)
  const span = Context.getOption(fiber.currentContext, Tracer.ParentSpan)
  // Without tracing, spans have no ids.
  const traceparent =
    span._tag === "Some" && span.value.traceId.length === 32
      ? traceparentOf({ traceId: span.value.traceId, parentId: span.value.spanId, sampled: span.value.sampled })
      : headers?.["traceparent"]
  if (traceparent === undefined) return {}
  const tracestate = headers?.["tracestate"]
  return tracestate === undefined ? { traceparent } : { traceparent, tracestate }
}

/** The trace id of a well-formed `traceparent`. */
export const traceIdOf = ({ traceparent }: HeaderValues | RequestSource["headers"]): string | undefined =>
  typeof traceparent === "string" ? traceparent.slice(3, 35) : undefined

const givenMarks: Readonly<Record<string, ReadonlyArray<RecorderMark>>> = {
  request: ["request_id:given"],
  trace: ["trace_id:given"],
  both: ["request_id:given", "trace_id:given"]
}

const unmarked: ReadonlyArray<RecorderMark> = []

/** The trace id of a request, and the marks that say which of its ids its sender chose. */
export const idsOf = (headers: HeaderValues | RequestSource["headers"]) => {
  const given = headers[givenIds]
  return { traceId: traceIdOf(headers), marks: typeof given === "string" ? (givenMarks[given] ?? unmarked) : unmarked }
}

/** Those of the request that this fiber handles. */
export const currentIds = (fiber: Fiber.RuntimeFiber<unknown, unknown>) => {
  const headers = requestHeaders(fiber.currentContext)
  return headers === undefined ? undefined : idsOf(headers)
}

/** Why the server closed a connection before the answer was complete: it stopped, or the request did not arrive in time. */
export type DisconnectReason = "shutdown" | "timeout"

/** State of single requests, beside objects of Node that have no place for it: a closed connection has no other channel. */
const cutOff = new WeakMap<IncomingMessage, DisconnectReason>()

/** Records the reason before the server closes the connection: to a handler it looks like a client that hung up. */
export const markDisconnect = (request: IncomingMessage, why: DisconnectReason): void => void cutOff.set(request, why)

/** Returns undefined if the server did not close the connection. */
export const disconnectReasonOf = (request: IncomingMessage): DisconnectReason | undefined => cutOff.get(request)

/** Requests whose answer has no end of its own, such as a feed. */
const endless = new WeakSet<IncomingMessage>()

/** Ends the answer when the server begins to stop, which would wait for it otherwise. */
export const endWithServer = (request: IncomingMessage): void => void endless.add(request)

export const isEndless = (request: IncomingMessage): boolean => endless.has(request)

/** The same for a handler's request. */
export const disconnectReason = (request: HttpServerRequest.HttpServerRequest): DisconnectReason | undefined =>
  disconnectReasonOf(NodeHttpServerRequest.toIncomingMessage(request))
