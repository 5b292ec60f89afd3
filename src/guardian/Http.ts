import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { GuardianApi } from "../contracts/guardian/GuardianApi.ts"
import { auditedRoutes } from "../platform/http/Audited.ts"
import { answerHealth, type HealthReport } from "../platform/http/Health.ts"
import { badgeRoutes } from "./badges/BadgeOperations.ts"
import { certificateRoutes } from "./certificates/CertificateOperations.ts"
import { SigningKeys } from "./certificates/SigningKeys.ts"
import { GuardianAccess } from "./GuardianAccess.ts"
import { sessionRoutes } from "./sessions/SessionOperations.ts"

/** Keys change at a start only, so that others may keep them for a while. */
const keys = HttpApiBuilder.group(GuardianApi, "keys", (group) =>
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

/** The routes of the guardian's contract. `report` is the state that `/health` and `/readyz` return. */
export const routes = (report: Effect.Effect<HealthReport>, sessionTimeout: Duration.Duration) => {
  const health = HttpApiBuilder.group(GuardianApi, "health", answerHealth("guardian", report))
  const recorded = auditedRoutes(
    Effect.all([certificateRoutes, sessionRoutes(sessionTimeout), badgeRoutes], { discard: true })
  ).pipe(Layer.provide(GuardianAccess.layer))
  return Layer.mergeAll(health, keys, recorded)
}
