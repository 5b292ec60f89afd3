import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { answerHealth, type HealthReport } from "../platform/http/Health.ts"
import { RouterApi } from "./Api.ts"

/** The handlers of the router's contract. `report` is what `/health` and `/readyz` tell. */
export const handlers = (report: Effect.Effect<HealthReport>) => {
  const health = HttpApiBuilder.group(RouterApi, "health", answerHealth("router", report))
  return HttpApiBuilder.api(RouterApi).pipe(Layer.provide(health))
}
