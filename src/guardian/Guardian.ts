import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../audit/AuditLog.ts"
import { auditView } from "../audit/PipelineStatus.ts"
import { GuardianApi } from "../contracts/guardian/GuardianApi.ts"
import { schemaProbe } from "../migrator/SchemaVersion.ts"
import { auditedRoutes } from "../platform/http/Audited.ts"
import { answerHealth } from "../platform/http/Health.ts"
import { serve } from "../platform/http/HttpServer.ts"
import { Badges, badgeRoutes } from "./badges/Badges.ts"
import { certificateRoutes } from "./certificates/CertificateOperations.ts"
import { Certificates } from "./certificates/Certificates.ts"
import { SigningKeys } from "./certificates/SigningKeys.ts"
import { GuardianAccess } from "./GuardianAccess.ts"
import { guardianSchema } from "./GuardianSchema.ts"
import { GuardianSettings } from "./GuardianSettings.ts"
import { sessionExpiry } from "./sessions/SessionExpiry.ts"
import { sessionRoutes } from "./sessions/SessionOperations.ts"
import { Sessions } from "./sessions/Sessions.ts"
import { Statistics } from "./sessions/Statistics.ts"

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

const makeReport = Effect.gen(function* () {
  const version = yield* guardianSchema.version
  const statistics = yield* Statistics
  const trail = yield* AuditLog
  const state = yield* schemaProbe(version)
  // Health is asked often, and must not wait for a database that does not answer: it reports what was counted in time.
  const counts = yield* Effect.cachedWithTTL(
    statistics.counts.pipe(
      Effect.map((found) => ({ counts: { ...found } })),
      Effect.timeout("1 second"),
      Effect.orElseSucceed(() => ({}))
    ),
    "1 second"
  )
  return Effect.map(Effect.all([state, counts, trail.status], { concurrency: 3 }), ([now, counted, audit]) => ({
    ...now,
    ...counted,
    // The guardian needs its tables for every answer, and a trail that accepts its events.
    canAnswer: now.databaseAnswers && now.schemaStands && audit.accepting,
    audit: auditView(audit)
  }))
})

const server = Layer.unwrapEffect(
  Effect.gen(function* () {
    const { sessionTimeout } = yield* GuardianSettings
    const version = yield* guardianSchema.version
    const health = HttpApiBuilder.group(GuardianApi, "health", answerHealth("guardian", yield* makeReport))
    const recorded = auditedRoutes(
      Effect.all([certificateRoutes, sessionRoutes(sessionTimeout), badgeRoutes], { discard: true })
    ).pipe(Layer.provide(GuardianAccess.layer))
    return serve("guardian", GuardianApi, version.expected).pipe(
      Layer.provide([health, keys, recorded]),
      // Below the port, so that it ends after the last answer.
      Layer.provide(sessionExpiry(sessionTimeout))
    )
  })
)

/** The keys were read before any port opened; see app/Serve.ts. */
const register = Layer.mergeAll(Badges.layer, Sessions.layer, Statistics.layer).pipe(
  Layer.provideMerge(Certificates.layer),
  Layer.provideMerge(SigningKeys.layer)
)

/** The guardian: are you certified, and still valid? Its schema at head, then its port. */
export const layer = Layer.fresh(server).pipe(Layer.provide(register), Layer.provide(guardianSchema.layer))
