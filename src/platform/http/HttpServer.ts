import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as OpenApi from "@effect/platform/OpenApi"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import type { ServiceName } from "../../domain/Service.ts"
import { Settings, shutdownShares } from "../config/Settings.ts"
import { compressedOnce } from "./CompressedPage.ts"
import { docsPage } from "./DocsPage.ts"
import { type ErrorFields, noFields } from "./ErrorResponse.ts"
import { answerDecodeErrors, answerUnhandled, refuseRespelt, routesOf } from "./FallbackResponses.ts"
import { makeFastLane, type OperationsByPath } from "./FastLane.ts"
import { httpMetrics } from "./HttpMetrics.ts"
import { Addresses, listen } from "./Listener.ts"
import { LocalOperations, makeLocalCalls } from "./LocalCalls.ts"
import { type AnyApi, aboutPaths, documented } from "./OpenApiDocument.ts"
import { beginTrace, requestId } from "./RequestContext.ts"
import { type RouteList, type RouteTable, routeTable } from "./RouteTable.ts"
import { inServerSpan } from "./ServerSpan.ts"
import { maximumHeaderBytes } from "./Tls.ts"

const withServerSpan =
  (service: ServiceName, routes: RouteTable) =>
  <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<E, R> =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      inServerSpan({
        service,
        method: request.method,
        route: routes(request.url)?.path,
        requestId: requestId(request),
        headers: NodeHttpServerRequest.toIncomingMessage(request).headers
      })(app)
    )

/** Loaded at the first request: most processes are never scraped. Strangers may ask as often as they like: it is made ten times a second at most. */
const metricsPage = Effect.flatMap(
  Effect.promise(() => import("./MetricsPage.ts")),
  ({ metricsPage }) => Effect.flatMap(metricsPage, (page) => Effect.cachedWithTTL(page, "100 millis"))
)

/** `/openapi.json`, `/docs` and `/metrics`: they need no token and hold no secret. */
const aboutRoutes = (contract: AnyApi) =>
  Effect.gen(function* () {
    const router = yield* HttpApiBuilder.Router
    const document = Effect.sync(() => HttpServerResponse.unsafeJson(OpenApi.fromApi(contract)))
    yield* router.get("/openapi.json", yield* compressedOnce(document))
    yield* router.get("/docs", yield* compressedOnce(docsPage(contract)))
    yield* router.get("/metrics", Effect.flatten(yield* Effect.cached(metricsPage)))
  })

/** An address to listen on is a name of the service, unless it means all addresses. */
const ownName = (host: string): ReadonlyArray<string> =>
  host === "0.0.0.0" || host === "::" ? [] : [host.toLowerCase()]

export interface ServeOptions {
  readonly errorFields?: ErrorFields
  /** Over HTTP used only while no spans are exported, because the fast lane makes no server span; in this process always. */
  readonly fastRoutes?: OperationsByPath
  /** Origins whose pages may use the service from a browser. */
  readonly corsOrigins?: ReadonlyArray<string>
}

/**
 * Serves a service's `HttpApi` on its own port until the scope ends; then it stops accepting and finishes requests in flight.
 *
 * Wrap a service's HTTP layers in `Layer.fresh`: the platform's router is one memoised layer, and services of one process that
 * share it would answer each other's routes.
 */
export const serve = <Id extends string, Groups extends HttpApiGroup.HttpApiGroup.Any, E, R>(
  service: ServiceName,
  api: HttpApi.HttpApi<Id, Groups, E, R>,
  revision: string,
  { corsOrigins = [], errorFields = noFields, fastRoutes = new Map() }: ServeOptions = {}
) => {
  const contract = documented(service, api)
  return Layer.scopedDiscard(
    Effect.gen(function* () {
      const settings = yield* Settings
      const addresses = yield* Addresses
      const about: RouteList = new Map(aboutPaths.map((path) => [path, ["GET"]]))
      const table = routeTable(new Map([...routesOf(api), ...about]))
      yield* aboutRoutes(contract)
      const middleware = yield* HttpApiBuilder.Middleware
      yield* middleware.add(answerDecodeErrors)
      // The handler limits the length of names: a name that the router refuses would be answered as an unknown route.
      const anyLength = HttpRouter.withRouterConfig({ maxParamLength: maximumHeaderBytes })
      const routes = refuseRespelt(table)(yield* anyLength(HttpApiBuilder.httpApp))
      const app = answerUnhandled(service, table, errorFields)(routes)
      const isTraced = yield* FiberRef.get(FiberRef.currentTracerEnabled)
      const handler = yield* NodeHttpServer.makeHandler(isTraced ? withServerSpan(service, table)(app) : app).pipe(
        // Its spans repeat every header, and parsing the URL for them costs more than the rest of its work.
        Effect.locally(HttpMiddleware.currentTracerDisabledWhen, () => true)
      )
      const operations = new Map([...(yield* LocalOperations).all, ...fastRoutes])
      const calls = yield* makeLocalCalls(service, operations, errorFields)
      const fastLane = yield* makeFastLane(service, isTraced ? new Map() : fastRoutes, errorFields)
      const url = yield* listen({
        service,
        host: settings.host,
        port: settings.ports[service],
        tls: settings.tls,
        browsers: {
          names: [...settings.allowedHosts, ...ownName(settings.host)],
          origins: new Set(corsOrigins),
          always: settings.authDisabled
        },
        maximumConnections: settings.httpMaximumConnections,
        requestTimeout: settings.httpRequestTimeout,
        drainFor: Duration.times(settings.shutdownDeadline, shutdownShares.server),
        routes: table,
        metrics: httpMetrics(service),
        errorFields,
        calls,
        handler: (request, response) => {
          if (!isTraced) beginTrace(request)
          if (!fastLane(request, response)) handler(request, response)
        }
      })
      yield* addresses.announce(service, { url, revision, calls })
    })
  ).pipe(
    // The middleware and the errors of our contracts need no service.
    Layer.provide(Layer.succeed(HttpApi.Api, { api: contract, context: Context.empty() })),
    Layer.provide([
      HttpApiBuilder.Router.Live,
      LocalOperations.layer,
      HttpApiBuilder.Middleware.layer,
      NodeHttpServer.layerContext
    ])
  )
}
