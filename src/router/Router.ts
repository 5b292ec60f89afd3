import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../audit/AuditLog.ts"
import { auditView } from "../audit/PipelineStatus.ts"
import { RouterApi } from "../contracts/router/RouterApi.ts"
import { openAiFields } from "../contracts/router/RouterErrors.ts"
import { schemaProbe } from "../migrator/SchemaVersion.ts"
import type * as Setting from "../platform/config/Setting.ts"
import { Settings, shutdownShares } from "../platform/config/Settings.ts"
import { auditedRoutes } from "../platform/http/Audited.ts"
import { answerHealth } from "../platform/http/Health.ts"
import { serve } from "../platform/http/HttpServer.ts"
import { AnswerWatch } from "./chat/AnswerWatch.ts"
import { InFlight } from "./chat/ChatCompletionFinalizer.ts"
import { answerChat } from "./chat/ChatHttp.ts"
import { History } from "./history/History.ts"
import { HistoryWriter, standardOptions } from "./history/HistoryWriter.ts"
import type { Catalog } from "./models/Catalog.ts"
import { Models } from "./models/ModelsFile.ts"
import { Providers } from "./providers/Providers.ts"
import { historyRoute, modelRoutes } from "./ReadOperations.ts"
import { routerSchema } from "./RouterSchema.ts"
import { RouterSettings } from "./RouterSettings.ts"
import { RouterAccess } from "./route/RouterAccess.ts"

const server = (catalog: Catalog, options: Setting.Value<typeof RouterSettings.config>) =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const version = yield* routerSchema.version
      const state = yield* schemaProbe(version)
      const trail = yield* AuditLog
      // It needs its tables to answer anything, and a trail that accepts its decisions.
      const report = Effect.map(Effect.all([state, trail.status]), ([now, audit]) => ({
        ...now,
        canAnswer: now.schemaStands && audit.accepting,
        audit: auditView(audit)
      }))
      const health = HttpApiBuilder.group(RouterApi, "health", answerHealth("router", report))
      const answer = answerChat(catalog, options)
      const chat = HttpApiBuilder.group(RouterApi, "chat", (group) =>
        group.handleRaw("completions", ({ request }) => answer(request))
      )
      const recorded = auditedRoutes(Effect.all([modelRoutes(catalog), historyRoute], { discard: true })).pipe(
        Layer.provide(RouterAccess.layer)
      )
      return serve("router", RouterApi, version.expected, {
        errorFields: openAiFields,
        corsOrigins: options.corsOrigins
      }).pipe(Layer.provide([health, chat, recorded]))
    })
  )

/** The part of the server's share of the shutdown deadline for the work after the answers. */
const endShare = 0.4

/** The router: which model answers, and what was said? At its end the port closes, requests are finalized, the history is written. */
export const layer = Layer.unwrapEffect(
  Effect.gen(function* () {
    const settings = yield* RouterSettings
    const { shutdownDeadline } = yield* Settings
    const catalog = yield* Models
    const endWithin = Duration.times(shutdownDeadline, shutdownShares.server * endShare)
    const parts = InFlight.layer(endWithin).pipe(
      Layer.provideMerge(AnswerWatch.layer),
      // Ends after `InFlight`: an answer that is cut off is not recorded as one whose provider hung up.
      Layer.provideMerge(Providers.layer(catalog)),
      Layer.provideMerge(HistoryWriter.layer({ ...standardOptions, endWithin })),
      Layer.provideMerge(History.layer)
    )
    return Layer.fresh(server(catalog, settings)).pipe(Layer.provide(parts))
  })
).pipe(Layer.provide([Models.layer, routerSchema.layer]))
