import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ServiceName } from "../../domain/Service.ts"
import { Settings } from "../Settings.ts"
import { shutdownShares } from "../ShutdownShares.ts"
import { Addresses } from "./Addresses.ts"
import { listen } from "./Listener.ts"
import { answerStrays, type RouteList } from "./Strays.ts"

/**
 * Serves a service's `HttpApi` on its own port, from the moment this layer is built until its scope ends; then it stops
 * accepting and finishes what is in flight.
 *
 * Wrap the whole of a service's HTTP layers in `Layer.fresh`: the platform's router is one memoised layer, and services
 * of one process that shared it would answer each other's routes.
 */
export const serve = (service: ServiceName, routes: RouteList, revision: string) =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const settings = yield* Settings
      const addresses = yield* Addresses
      const app = yield* HttpApiBuilder.httpApp
      const handler = yield* NodeHttpServer.makeHandler(answerStrays(service, routes)(app))
      const url = yield* listen({
        service,
        host: settings.host,
        port: settings.ports[service],
        drainFor: Duration.times(settings.shutdownDeadline, shutdownShares.server),
        handler
      })
      yield* addresses.announce(service, { url, revision })
    })
  ).pipe(Layer.provide([HttpApiBuilder.Router.Live, HttpApiBuilder.Middleware.layer, NodeHttpServer.layerContext]))
