import type * as Http from "node:http"
import * as Net from "node:net"
import { performance } from "node:perf_hooks"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type ServiceName, titleOf } from "../../domain/Service.ts"
import { Settings, type TlsFiles } from "../config/Settings.ts"
import { boundedConnections, refuseUnreadable, requestTimedOut } from "./Connections.ts"
import { answerCors } from "./Cors.ts"
import { earlyRefusal } from "./EarlyRefusal.ts"
import { type ErrorAnswer, type ErrorFields, errorJson, noFields, shuttingDown } from "./ErrorResponse.ts"
import type { BrowserRules } from "./ForeignRequest.ts"
import type { HttpMetrics } from "./HttpMetrics.ts"
import type { LocalCalls } from "./LocalCalls.ts"
import { admitTraceContext, assignRequestId, disconnectReasonOf, isEndless, markDisconnect } from "./RequestContext.ts"
import type { RouteTable } from "./RouteTable.ts"
import { makeServer, maximumHeaderBytes, type TlsUnusable } from "./Tls.ts"

export interface Address {
  readonly url: string
  /** The revision of the service's schema. */
  readonly revision: string
  /** How clients in this process call it without a connection. */
  readonly calls: Pick<LocalCalls, "find">
}

/** Where each service of this process listens, and how it is called here. It is known only then, since a port may be 0. */
export class Addresses extends Context.Tag("platform/http/Addresses")<
  Addresses,
  {
    readonly announce: (service: ServiceName, address: Address) => Effect.Effect<void>
    readonly all: Effect.Effect<ReadonlyMap<ServiceName, Address>>
  }
>() {
  static readonly layer = Layer.effect(
    Addresses,
    Effect.map(Ref.make<ReadonlyMap<ServiceName, Address>>(new Map()), (ref) => ({
      announce: (service, address) => Ref.update(ref, (known) => new Map([...known, [service, address]])),
      all: Ref.get(ref)
    }))
  )
}

/**
 * Where a service is: at the URL that a setting gives, else where it listens in this process, else at its port on this machine. The
 * inner effect looks each time, since a service of this process has a URL only when it listens.
 */
export const serviceUrl = (service: ServiceName, given: Option.Option<string>) =>
  Effect.map(Effect.all([Settings, Addresses]), ([{ ports }, addresses]) =>
    Option.match(given, {
      onNone: () =>
        Effect.map(addresses.all, (known) => known.get(service)?.url ?? `http://127.0.0.1:${ports[service]}`),
      onSome: Effect.succeed
    })
  )

/** Answers a request before its handler. */
const refuse = (response: Http.ServerResponse, answer: ErrorAnswer): void => {
  // Read the body to its end. Closing earlier would reset the connection, and the client would lose the answer.
  response.req.resume()
  const { headers, status, text } = errorJson(answer)
  response.writeHead(status, { ...headers, connection: "close" })
  response.end(text)
}

class PortUnavailable extends Schema.TaggedError<PortUnavailable>()("PortUnavailable", {
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
  /**
   * Beyond it the connection that was idle the longest is closed for a new one; where none is idle, the new one is refused. As many
   * connections may be in their TLS handshake; beyond that the oldest of those is closed.
   */
  readonly maximumConnections?: number
  /** Time for a whole request to arrive, its body included; then 408. A TLS handshake has as long, and at most 10 s. */
  readonly requestTimeout?: Duration.Duration
  /** None: plain HTTP. */
  readonly tls?: Option.Option<TlsFiles>
  readonly browsers?: BrowserRules
  /** How long the end of the scope waits for requests in flight before it closes their connections. */
  readonly drainFor: Duration.Duration
  readonly routes?: RouteTable
  readonly metrics?: HttpMetrics
  readonly errorFields?: ErrorFields
  /** Calls of this process; the end of the scope refuses and drains them as requests. */
  readonly calls?: Omit<LocalCalls, "find">
  readonly handler: (request: Http.IncomingMessage, response: Http.ServerResponse) => void
}

const noBrowsers: BrowserRules = { names: [], origins: new Set(), always: false }

const serverOptions = ({ requestTimeout = Duration.seconds(30) }: ListenOptions) => {
  const millis = Duration.toMillis(requestTimeout)
  return {
    handshakeTimeout: Math.min(millis, 10_000),
    maxHeaderSize: maximumHeaderBytes,
    requireHostHeader: false,
    requestTimeout: millis,
    headersTimeout: Math.min(millis, 10_000),
    connectionsCheckingInterval: Math.min(millis / 2, 5_000)
  }
}

/** How long kept-alive clients may still send a request and receive 503. */
const lastMoment = Duration.millis(200)

/** As nginx and @effect/platform count a client that hung up before its answer was complete. */
const clientLeft = 499

/** The status for the metrics. An incomplete answer counts as 499, or if we closed the connection, as 408 (late) or 503. */
const statusOf = (request: Http.IncomingMessage, response: Http.ServerResponse): number => {
  if (response.writableFinished) return response.statusCode
  const why = disconnectReasonOf(request)
  return why === undefined ? clientLeft : why === "timeout" ? 408 : 503
}

/** Ends pipelined responses whose socket closed before they got it: Node emits no "close" on them. */
const closeWithout = (socket: Net.Socket, responses: Iterable<Http.ServerResponse>): void => {
  for (const response of responses) {
    if (response.req.socket === socket && response.socket === null) response.destroy().emit("close")
  }
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

/** `http://127.0.0.1:8001`: an address for clients on this machine, also if the server listens on all addresses. */
const urlOf = (server: Http.Server, { host, tls = Option.none() }: ListenOptions): string => {
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  const reachable = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host
  return `${Option.isSome(tls) ? "https" : "http"}://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`
}

/**
 * Listens until the scope ends, and returns its URL. The end goes in this order: no new connections; 503 with
 * `connection: close` for requests on kept-alive ones (the server of @effect/platform does not answer them); requests in flight
 * finish, up to `drainFor`; 200 ms later the other connections are closed.
 */
export const listen = (options: ListenOptions): Effect.Effect<string, PortUnavailable | TlsUnusable, Scope.Scope> =>
  Effect.gen(function* () {
    const inFlight = new Set<Http.ServerResponse>()
    /** Responses to pipelined requests: they get their socket when the response before them is complete. */
    const withoutSocket = new Set<Http.ServerResponse>()
    const connections = boundedConnections(options.maximumConnections, inFlight)
    const { browsers = noBrowsers, calls, errorFields = noFields, metrics, service } = options
    const idle = Effect.unsafeMakeLatch()
    let draining = false
    const accept = (request: Http.IncomingMessage, response: Http.ServerResponse) => {
      const began = performance.now()
      const id = assignRequestId(request)
      admitTraceContext(request)
      response.setHeader("x-request-id", id)
      metrics?.began()
      if (!draining) inFlight.add(response)
      if (response.socket === null) withoutSocket.add(response)
      response.once("close", () => {
        withoutSocket.delete(response)
        const route = options.routes?.(request.url ?? "")?.path
        metrics?.ended(request.method ?? "", route, statusOf(request, response), (performance.now() - began) / 1_000)
        connections.used(request.socket)
        if (inFlight.delete(response) && draining && inFlight.size === 0) idle.unsafeOpen()
      })
      if (draining) return refuse(response, shuttingDown(service, id, errorFields(503, request.url ?? "")))
      if (options.routes !== undefined && answerCors(request, response, browsers.origins, options.routes)) return
      const problem = earlyRefusal(request, browsers, errorFields)
      if (problem !== undefined) return refuse(response, { ...problem, requestId: id })
      options.handler(request, response)
    }
    const { connected, server } = yield* makeServer(options.tls ?? Option.none(), serverOptions(options), accept)
    if (connected === "secureConnection") server.on("connection", connections.handshake)
    server.on(connected, (socket: Net.Socket) => {
      connections.opened(socket)
      socket.once("close", () => {
        connections.closed(socket)
        closeWithout(socket, withoutSocket)
      })
    })
    // Otherwise Node answers 417; RFC 9110, section 10.1.1, lets a server ignore an unknown expectation.
    server.on("checkExpectation", accept)
    server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      const here = [...inFlight].filter(({ req }) => req.socket === socket)
      if (error.code === requestTimedOut) for (const { req } of here) markDisconnect(req, "timeout")
      // An answer that has begun cannot be replaced by another.
      if (here.some(({ headersSent }) => headersSent)) socket.destroy()
      else refuseUnreadable(error, socket)
    })
    const drain = Effect.gen(function* () {
      draining = true
      if (inFlight.size === 0) idle.unsafeOpen()
      calls?.refuse()
      // http's own close first closes idle connections: a client that sends at that moment would get no answer.
      const closed = new Promise<void>((resolve) => Net.Server.prototype.close.call(server, () => resolve()))
      for (const response of inFlight) {
        if (!response.headersSent) response.setHeader("connection", "close")
        if (isEndless(response.req)) response.destroy()
      }
      yield* Effect.zipRight(idle.await, calls?.idle ?? Effect.void).pipe(
        Effect.interruptible,
        Effect.timeoutOption(options.drainFor)
      )
      const cutOff = inFlight.size + (calls?.inFlight() ?? 0)
      if (cutOff > 0) {
        yield* Effect.logWarning(
          `${titleOf(service)} cut off ${cutOff} request${cutOff === 1 ? "" : "s"} in flight after ${Duration.format(options.drainFor)}`
        )
      }
      // Kept-alive clients have a moment to send a request and get 503; then the connections are closed.
      yield* Effect.promise(() => closed).pipe(Effect.interruptible, Effect.timeoutOption(lastMoment))
      for (const { req } of inFlight) markDisconnect(req, "shutdown")
      server.closeAllConnections()
      connections.closeHandshakes()
      calls?.cutOff()
      yield* Effect.logInfo(`${titleOf(service)} closed its port.`)
    })
    yield* Effect.acquireRelease(open(server, options), () => drain)
    return urlOf(server, options)
  })
