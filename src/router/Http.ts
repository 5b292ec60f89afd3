import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { RouterApi } from "../contracts/router/RouterApi.ts"
import { auditedRoutes } from "../platform/http/Audited.ts"
import { answerHealth, type HealthReport } from "../platform/http/Health.ts"
import { answerChat } from "./chat/ChatHttp.ts"
import { historyRoute } from "./history/HistoryOperation.ts"
import { modelsRoute } from "./ModelsOperation.ts"
import type { Catalog } from "./models/Catalog.ts"
import { RouterAccess } from "./route/RouterAccess.ts"

/** The routes of the router's contract. `report` is the state that `/health` and `/readyz` return. */
export const routes = (report: Effect.Effect<HealthReport>, catalog: Catalog, storeContent: boolean) => {
  const health = HttpApiBuilder.group(RouterApi, "health", answerHealth("router", report))
  const answer = answerChat(catalog, storeContent)
  const chat = HttpApiBuilder.group(RouterApi, "chat", (group) =>
    group.handleRaw("completions", ({ request }) => answer(request))
  )
  const recorded = auditedRoutes(Effect.all([modelsRoute(catalog), historyRoute], { discard: true })).pipe(
    Layer.provide(RouterAccess.layer)
  )
  return Layer.mergeAll(health, chat, recorded)
}
