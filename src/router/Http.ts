import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { RouterApi } from "../contracts/router/RouterApi.ts"
import { answerHealth, type HealthReport } from "../platform/http/Health.ts"
import { makeChat } from "./chat/ChatHttp.ts"
import { makeHistory } from "./history/HistoryHttp.ts"
import { makeModels } from "./ModelsHttp.ts"
import type { Catalog } from "./models/Catalog.ts"

/** The handlers of the router's contract. `report` is what `/health` and `/readyz` tell. */
export const handlers = (report: Effect.Effect<HealthReport>, catalog: Catalog, storeContent: boolean) => {
  const chat = HttpApiBuilder.group(RouterApi, "chat", (group) =>
    Effect.map(makeChat(catalog, storeContent), (answer) =>
      group.handleRaw("completions", ({ request }) => answer(request))
    )
  )
  const models = HttpApiBuilder.group(RouterApi, "catalog", (group) =>
    Effect.map(makeModels(catalog), (answer) => group.handleRaw("models", ({ request }) => answer(request)))
  )
  const history = HttpApiBuilder.group(RouterApi, "history", (group) =>
    Effect.map(makeHistory, (answer) => group.handleRaw("history", ({ request }) => answer(request)))
  )
  const health = HttpApiBuilder.group(RouterApi, "health", answerHealth("router", report))
  return HttpApiBuilder.api(RouterApi).pipe(Layer.provide([chat, models, history, health]))
}
