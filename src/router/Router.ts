import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../audit/AuditLog.ts"
import { auditView } from "../audit/AuditView.ts"
import { RouterApi } from "../contracts/router/RouterApi.ts"
import { openAiFields } from "../contracts/router/RouterErrors.ts"
import * as Migrator from "../migrator/Migrator.ts"
import { schemaProbe } from "../migrator/SchemaProbe.ts"
import { SchemaVersion } from "../migrator/SchemaVersion.ts"
import { Settings } from "../platform/config/Settings.ts"
import { shutdownShares } from "../platform/config/ShutdownShares.ts"
import { serve } from "../platform/http/HttpServer.ts"
import { ChatCompletionFinalizer } from "./chat/ChatCompletionFinalizer.ts"
import { InFlight } from "./chat/InFlight.ts"
import { handlers } from "./Http.ts"
import { History } from "./history/History.ts"
import { HistoryWriter, standardOptions } from "./history/HistoryWriter.ts"
import type { Catalog } from "./models/Catalog.ts"
import { Models } from "./models/Models.ts"
import { Providers } from "./providers/Providers.ts"
import { Route } from "./route/Route.ts"

const server = (catalog: Catalog, storeContent: boolean) =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const version = yield* SchemaVersion.router
      const state = yield* schemaProbe(version)
      const trail = yield* AuditLog
      // It needs its tables to answer anything, and a trail that takes what it decides.
      const report = Effect.map(Effect.all([state, trail.status]), ([now, audit]) => ({
        ...now,
        canAnswer: now.databaseAnswers && now.schemaStands && audit.accepting,
        audit: auditView(audit)
      }))
      const answers = handlers(report, catalog, storeContent)
      return serve("router", RouterApi, version.expected, openAiFields).pipe(Layer.provide(answers))
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
    const catalog = yield* Models
    const endWithin = Duration.times(shutdownDeadline, shutdownShares.server * endShare)
    const rooms = Layer.mergeAll(ChatCompletionFinalizer.layer(router.storeContent), Route.layer).pipe(
      // Ends before the providers' connections do: who was cut off is recorded as that, not as one whose provider hung up.
      Layer.provideMerge(InFlight.layer(endWithin)),
      Layer.provideMerge(Providers.layer(catalog)),
      Layer.provideMerge(HistoryWriter.layer({ ...standardOptions, endWithin })),
      Layer.provideMerge(History.layer)
    )
    return Layer.fresh(server(catalog, router.storeContent)).pipe(Layer.provide(rooms))
  })
).pipe(Layer.provide([Models.layer, Migrator.layer("router")]))
