import { randomUUID } from "node:crypto"
import type { IncomingMessage } from "node:http"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import * as Tracer from "effect/Tracer"

/** The trace that a request belongs to (W3C Trace Context, level 1). */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** 16 hexadecimal digits: the step of the trace that asks. */
  readonly parentId: string
  readonly sampled: boolean
}

const wellFormed = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const onlyZeros = /^0+$/

/**
 * Reads a `traceparent` as section 3.2 of the recommendation has it: lower case, no zero ids, version 00 exact in length, a later
 * version by what it has in common with 00, version ff never. Undefined for anything else: then a new trace begins.
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

/** Section 3.3: up to 32 members, no key twice. What is longer than every vendor must pass on (512 characters) is not passed on. */
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

/** Takes what could not be read from the request's headers, so that everything behind reads only what is well-formed. */
export const admitTraceContext = (request: IncomingMessage): void => {
  const { headers } = request
  const given = headers["traceparent"]
  const trace = typeof given === "string" ? parseTraceparent(given) : undefined
  if (trace === undefined) {
    delete headers["traceparent"]
    delete headers["tracestate"]
    return
  }
  headers["traceparent"] = traceparentOf(trace)
  const state = headers["tracestate"]
  if (state !== undefined && (typeof state !== "string" || !isTracestate(state))) delete headers["tracestate"]
}

/** A UUID's digits but its version's and variant's: 16 random ones. */
const newParentId = (): string => {
  const uuid = randomUUID()
  return uuid.slice(0, 8) + uuid.slice(24, 32)
}

/** Begins a trace where the client sent none. Nothing records its steps: where spans are made, the first of them begins it. */
export const beginTrace = (request: IncomingMessage): void => {
  request.headers["traceparent"] ??= traceparentOf({
    traceId: randomUUID().replaceAll("-", ""),
    parentId: newParentId(),
    sampled: false
  })
}

const requestOf = (fiber: Fiber.RuntimeFiber<unknown, unknown>): HttpServerRequest.HttpServerRequest | undefined =>
  fiber.currentContext.unsafeMap.get(HttpServerRequest.HttpServerRequest.key)

/** What the call of a peer says of the trace: the current span, or what the request that is being answered said. */
export const outgoingTrace = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Readonly<Record<string, string>> => {
  const headers = requestOf(fiber)?.headers
  const span = Context.getOption(fiber.currentContext, Tracer.ParentSpan)
  // Where tracing is off, spans have no ids.
  const traceparent =
    span._tag === "Some" && span.value.traceId.length === 32
      ? traceparentOf({ traceId: span.value.traceId, parentId: span.value.spanId, sampled: span.value.sampled })
      : headers?.["traceparent"]
  if (traceparent === undefined) return {}
  const tracestate = headers?.["tracestate"]
  return tracestate === undefined ? { traceparent } : { traceparent, tracestate }
}

/** The trace id of a `traceparent` that was admitted. */
export const traceIdOf = (headers: Readonly<Record<string, string | undefined>>): string | undefined =>
  headers["traceparent"]?.slice(3, 35)

/** The trace of the request that this fiber answers. */
export const currentTraceId = (fiber: Fiber.RuntimeFiber<unknown, unknown>): string | undefined => {
  const request = requestOf(fiber)
  return request === undefined ? undefined : traceIdOf(request.headers)
}
