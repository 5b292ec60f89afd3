import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as OpenApi from "@effect/platform/OpenApi"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import type { ServiceName } from "../../domain/Service.ts"
import { Settings } from "../config/Settings.ts"
import { shutdownShares } from "../config/ShutdownShares.ts"
import { Addresses } from "./Addresses.ts"
import { docsPage } from "./DocsPage.ts"
import { type ErrorFields, noFields } from "./ErrorResponse.ts"
import { answerUndecoded, answerUnhandled, routesOf } from "./FallbackResponses.ts"
import { httpMetrics } from "./HttpMetrics.ts"
import { listen } from "./Listener.ts"
import { maximumHeaderBytes } from "./MalformedRequest.ts"
import { metricsPage } from "./MetricsPage.ts"
import { type AnyApi, aboutPaths, documented } from "./OpenApiDocument.ts"
import { type RouteList, routeTable } from "./RouteTable.ts"
import { withServerSpan } from "./ServerSpan.ts"
import { beginTrace } from "./TraceContext.ts"

/** `/openapi.json`, `/docs` and `/metrics`: they need no token, and hold no secret. */
const aboutRoutes = (contract: AnyApi) =>
  Effect.gen(function* () {
    const router = yield* HttpApiBuilder.Router
    const docs = yield* Effect.cached(docsPage(contract))
    const document = yield* Effect.cached(Effect.sync(() => HttpServerResponse.unsafeJson(OpenApi.fromApi(contract))))
    yield* router.get("/openapi.json", document)
    yield* router.get("/docs", docs)
    yield* router.get("/metrics", yield* metricsPage)
  })

/**
 * Serves a service's `HttpApi` on its own port, from the moment this layer is built until its scope ends; then it stops
 * accepting and finishes what is in flight.
 *
 * Wrap the whole of a service's HTTP layers in `Layer.fresh`: the platform's router is one memoised layer, and services
 * of one process that shared it would answer each other's routes.
 */
export const serve = <Id extends string, Groups extends HttpApiGroup.HttpApiGroup.Any, E, R>(
  service: ServiceName,
  api: HttpApi.HttpApi<Id, Groups, E, R>,
  revision: string,
  errorFields: ErrorFields = noFields
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
      yield* middleware.add(answerUndecoded)
      // How long a name may be is its handler's to say: what the router refuses is answered as if there were no such route.
      const anyLength = HttpRouter.withRouterConfig({ maxParamLength: maximumHeaderBytes })
      const app = answerUnhandled(service, table, errorFields)(yield* anyLength(HttpApiBuilder.httpApp))
      const isTraced = yield* FiberRef.get(FiberRef.currentTracerEnabled)
      const handler = yield* NodeHttpServer.makeHandler(isTraced ? withServerSpan(service, table)(app) : app).pipe(
        // Its spans repeat every header, and reading the URL for them costs more than the rest of its work.
        Effect.locally(HttpMiddleware.currentTracerDisabledWhen, () => true)
      )
      const url = yield* listen({
        service,
        host: settings.host,
        port: settings.ports[service],
        drainFor: Duration.times(settings.shutdownDeadline, shutdownShares.server),
        routes: table,
        metrics: httpMetrics(service),
        errorFields,
        handler: (request, response) => {
          if (!isTraced) beginTrace(request)
          handler(request, response)
        }
      })
      yield* addresses.announce(service, { url, revision })
    })
  ).pipe(
    // The middleware and the errors of our contracts need no service.
    Layer.provide(Layer.succeed(HttpApi.Api, { api: contract, context: Context.empty() })),
    Layer.provide([HttpApiBuilder.Router.Live, HttpApiBuilder.Middleware.layer, NodeHttpServer.layerContext])
  )
}
