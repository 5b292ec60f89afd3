import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { answerHealth, type HealthReport } from "../platform/http/Health.ts"
import { GuardianApi } from "./Api.ts"

/** The handlers of the guardian's contract. `report` is what `/health` and `/readyz` tell. */
export const handlers = (report: Effect.Effect<HealthReport>) => {
  const health = HttpApiBuilder.group(GuardianApi, "health", answerHealth("guardian", report))
  return HttpApiBuilder.api(GuardianApi).pipe(Layer.provide(health))
}
