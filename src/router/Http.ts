import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { RouterApi } from "../contracts/router/RouterApi.ts"
import { answerHealth, type HealthReport } from "../platform/http/Health.ts"
import { answerChat } from "./chat/ChatHttp.ts"
import { answerHistory } from "./history/HistoryHttp.ts"
import { answerModels } from "./ModelsHttp.ts"
import type { Catalog } from "./models/Catalog.ts"

/** The handlers of the router's contract. `report` is the state for `/health` and `/readyz`. */
export const handlers = (report: Effect.Effect<HealthReport>, catalog: Catalog, storeContent: boolean) => {
  const chat = HttpApiBuilder.group(RouterApi, "chat", (group) => {
    const answer = answerChat(catalog, storeContent)
    return group.handleRaw("completions", ({ request }) => answer(request))
  })
  const models = HttpApiBuilder.group(RouterApi, "catalog", (group) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      const answer = answerModels(catalog, Math.floor(now / 1_000))
      return group.handleRaw("models", ({ request }) => answer(request))
    })
  )
  const history = HttpApiBuilder.group(RouterApi, "history", (group) =>
    group.handleRaw("history", ({ request }) => answerHistory(request))
  )
  const health = HttpApiBuilder.group(RouterApi, "health", answerHealth("router", report))
  return HttpApiBuilder.api(RouterApi).pipe(Layer.provide([chat, models, history, health]))
}
