import * as Http from "node:http"
import * as Net from "node:net"
import { performance } from "node:perf_hooks"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type ServiceName, titleOf } from "../../domain/Service.ts"
import { markCutOff, whyCutOff } from "./DisconnectReason.ts"
import { type ErrorFields, errorText, noFields } from "./ErrorResponse.ts"
import type { HttpMetrics } from "./HttpMetrics.ts"
import {
  maximumHeaderBytes,
  namesNoHost,
  refuseHostless,
  refuseUnreadable,
  requestTimedOut
} from "./MalformedRequest.ts"
import { assignRequestId } from "./RequestId.ts"
import type { RouteTable } from "./RouteTable.ts"
import { admitTraceContext } from "./TraceContext.ts"

/** The port of a service could not be opened. */
export class PortUnavailable extends Schema.TaggedError<PortUnavailable>()("PortUnavailable", {
  service: Schema.String,
  host: Schema.String,
  port: Schema.Number,
  code: Schema.String
}) {
  override get message(): string {
    const reasons: Readonly<Record<string, string>> = {
      EADDRINUSE: "another program listens there",
      EACCES: "this user may not open it",
      EADDRNOTAVAIL: "this machine has no such address"
    }
    return (
      `${this.service} cannot listen on ${this.host}:${this.port}: ${reasons[this.code] ?? this.code} (${this.code}). ` +
      `Set ${this.service.toUpperCase()}_PORT or HOST, or stop the other program.`
    )
  }
}

export interface ListenOptions {
  readonly service: ServiceName
  readonly host: string
  readonly port: number
  /** How long the end of the scope waits for requests in flight before it cuts them off. */
  readonly drainFor: Duration.Duration
  readonly routes?: RouteTable
  readonly metrics?: HttpMetrics
  readonly errorFields?: ErrorFields
  readonly handler: (request: Http.IncomingMessage, response: Http.ServerResponse) => void
}

const refuseWhileDraining = (
  { errorFields = noFields, service }: ListenOptions,
  url: string,
  id: string,
  response: Http.ServerResponse
): void => {
  const message = `${titleOf(service)} is shutting down; send the request to another instance or again later`
  response.writeHead(503, { "content-type": "application/json", connection: "close", "retry-after": "1" })
  response.end(errorText({ code: "shutting_down", message, requestId: id, more: errorFields(503, url) }))
}

/** In which a client under load sends its next request. */
const lastMoment = Duration.millis(200)

/** As nginx and the platform count a client that hung up before its answer was whole. */
const clientLeft = 499

/** The status as it is counted: an answer that is not whole has that of whoever closed the connection. */
const statusOf = (request: Http.IncomingMessage, response: Http.ServerResponse): number => {
  if (response.writableFinished) return response.statusCode
  const why = whyCutOff(request)
  return why === undefined ? clientLeft : why === "timeout" ? 408 : 503
}

const open = (server: Http.Server, { service, host, port }: ListenOptions): Effect.Effect<void, PortUnavailable> =>
  Effect.async((resume) => {
    const onError = (error: NodeJS.ErrnoException) =>
      resume(Effect.fail(new PortUnavailable({ service, host, port, code: error.code ?? error.message })))
    server.once("error", onError)
    server.listen({ host, port }, () => {
      server.off("error", onError)
      resume(Effect.void)
    })
  })

/** `http://127.0.0.1:8001`: an address that a client on this machine can use, also where the server listens on all. */
const urlOf = (server: Http.Server, host: string): string => {
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  const reachable = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host
  return `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`
}

/**
 * Listens until the scope ends. Then, in this order: no new connections; requests that still arrive on kept-alive ones are
 * answered 503 with `connection: close` (the stock server gives them no answer at all); what is in flight is finished, up
 * to `drainFor`; what is left is cut off.
 */
export const listen = (options: ListenOptions): Effect.Effect<string, PortUnavailable, Scope.Scope> =>
  Effect.gen(function* () {
    const inFlight = new Set<Http.ServerResponse>()
    const { metrics } = options
    let draining = false
    let onIdle: () => void = () => {}
    const take = (request: Http.IncomingMessage, response: Http.ServerResponse) => {
      const began = performance.now()
      const id = assignRequestId(request)
      admitTraceContext(request)
      response.setHeader("x-request-id", id)
      metrics?.began()
      if (!draining) inFlight.add(response)
      response.once("close", () => {
        const route = options.routes?.(request.url ?? "")?.path
        metrics?.ended(request.method ?? "", route, statusOf(request, response), (performance.now() - began) / 1_000)
        if (inFlight.delete(response) && inFlight.size === 0) onIdle()
      })
      if (draining) {
        // Read to its end: a connection that is closed on an unread body is reset, and the answer with it.
        request.resume()
        return refuseWhileDraining(options, request.url ?? "", id, response)
      }
      if (namesNoHost(request)) return refuseHostless(request, id, response)
      options.handler(request, response)
    }
    const server = Http.createServer({ maxHeaderSize: maximumHeaderBytes, requireHostHeader: false }, take)
    // Else Node answers 417 by itself; RFC 9110, section 10.1.1, lets a server ignore what it does not know.
    server.on("checkExpectation", take)
    server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      const here = [...inFlight].filter(({ req }) => req.socket === socket)
      if (error.code === requestTimedOut) for (const { req } of here) markCutOff(req, "timeout")
      // Into an answer that has begun no other may be written.
      if (here.some(({ headersSent }) => headersSent)) socket.destroy()
      else refuseUnreadable(error, socket)
    })
    const idle = Effect.async<void>((resume) => {
      onIdle = () => resume(Effect.void)
      if (inFlight.size === 0) resume(Effect.void)
    })
    const drain = Effect.gen(function* () {
      draining = true
      // Not http's own close, which first cuts the connections that are idle: a client that sends at that moment gets no answer.
      const closed = new Promise<void>((resolve) => Net.Server.prototype.close.call(server, () => resolve()))
      for (const response of inFlight) if (!response.headersSent) response.setHeader("connection", "close")
      yield* idle.pipe(Effect.interruptible, Effect.timeoutOption(options.drainFor))
      const cutOff = inFlight.size
      if (cutOff > 0) {
        yield* Effect.logWarning(
          `${titleOf(options.service)} cut off ${cutOff} request${cutOff === 1 ? "" : "s"} in flight after ${Duration.format(options.drainFor)}`
        )
      }
      // Kept-alive clients get a moment for a request that is answered 503 and closes; then nothing may hold the shutdown.
      yield* Effect.promise(() => closed).pipe(Effect.interruptible, Effect.timeoutOption(lastMoment))
      for (const { req } of inFlight) markCutOff(req, "shutdown")
      server.closeAllConnections()
      yield* Effect.logInfo(`${titleOf(options.service)} closed its port.`)
    })
    yield* Effect.acquireRelease(open(server, options), () => drain)
    return urlOf(server, options.host)
  })
