import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../audit/AuditLog.ts"
import { takesEvents } from "../audit/TakesEvents.ts"
import * as Migrator from "../migrator/Migrator.ts"
import { schemaProbe } from "../migrator/SchemaProbe.ts"
import { SchemaVersion } from "../migrator/SchemaVersion.ts"
import { serve } from "../platform/http/HttpServer.ts"
import { routesOf } from "../platform/http/Strays.ts"
import { Settings } from "../platform/Settings.ts"
import { shutdownShares } from "../platform/ShutdownShares.ts"
import { RouterApi } from "./Api.ts"
import type { Catalog } from "./Catalog.ts"
import { Farewell } from "./Farewell.ts"
import { History } from "./History.ts"
import { HistoryWriter, standardOptions } from "./HistoryWriter.ts"
import { handlers } from "./Http.ts"
import { InFlight } from "./InFlight.ts"
import { loadModels } from "./ModelsFile.ts"
import { Providers } from "./Providers.ts"
import { Route } from "./Route.ts"

const server = (catalog: Catalog, storeContent: boolean) =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const version = yield* SchemaVersion.router
      const state = yield* schemaProbe(version)
      const trail = yield* AuditLog
      const report = Effect.map(Effect.all([state, takesEvents(trail)]), ([now, { takesEvents, ...told }]) => ({
        ...now,
        ...told,
        // It needs its tables to answer anything, and a trail to record it in.
        canAnswer: now.databaseAnswers && now.schemaStands && takesEvents
      }))
      const answers = handlers(report, catalog, storeContent)
      return serve("router", routesOf(RouterApi), version.expected).pipe(Layer.provide(answers))
    })
  )

/** Of the server's own share: what comes after the answers. */
const endShare = 0.4

/**
 * The router: which model answers, and what was said? Its schema at head, then its port. At the end the port closes, then what
 * is left of its requests is told, then the history is written.
 */
export const layer = Layer.unwrapEffect(
  Effect.gen(function* () {
    const { router, shutdownDeadline } = yield* Settings
    const catalog = yield* loadModels(router.modelsPath)
    const endWithin = Duration.times(shutdownDeadline, shutdownShares.server * endShare)
    const rooms = Layer.mergeAll(Farewell.layer(router.storeContent), Route.layer).pipe(
      Layer.provideMerge(Providers.layer(catalog)),
      Layer.provideMerge(InFlight.layer(endWithin)),
      Layer.provideMerge(HistoryWriter.layer({ ...standardOptions, endWithin })),
      Layer.provideMerge(History.layer)
    )
    return Layer.fresh(server(catalog, router.storeContent)).pipe(Layer.provide(rooms))
  })
).pipe(Layer.provide(Migrator.layer("router")))
