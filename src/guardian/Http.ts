import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { GuardianApi } from "../contracts/guardian/GuardianApi.ts"
import { answerHealth, type HealthReport } from "../platform/http/Health.ts"
import { SigningKeys } from "./certificates/SigningKeys.ts"
import { registerHandlers } from "./RegisterHttp.ts"
import { workHandlers } from "./WorkHttp.ts"

/** Keys change at a start only: others may keep them for a while. */
const keysHandlers = HttpApiBuilder.group(GuardianApi, "keys", (group) =>
  Effect.map(SigningKeys, ({ jwks }) =>
    group.handle("jwks", () =>
      Effect.succeed(
        HttpServerResponse.unsafeJson(jwks, {
          headers: { "cache-control": "public, max-age=300", "content-type": "application/jwk-set+json" }
        })
      )
    )
  )
)

/** The handlers of the guardian's contract. `report` is what `/health` and `/readyz` tell. */
export const handlers = (report: Effect.Effect<HealthReport>, sessionTimeout: Duration.Duration) => {
  const health = HttpApiBuilder.group(GuardianApi, "health", answerHealth("guardian", report))
  return HttpApiBuilder.api(GuardianApi).pipe(
    Layer.provide([health, keysHandlers, registerHandlers, workHandlers(sessionTimeout)])
  )
}
