import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../audit/AuditLog.ts"
import { auditView } from "../audit/PipelineStatus.ts"
import * as contract from "../contracts/guardian/GuardianApi.ts"
import { GuardianApi } from "../contracts/guardian/GuardianApi.ts"
import { schemaProbe } from "../migrator/SchemaVersion.ts"
import { auditedRoutes } from "../platform/http/Audited.ts"
import { answerJson } from "../platform/http/FastLane.ts"
import { answerHealth } from "../platform/http/Health.ts"
import { serve } from "../platform/http/HttpServer.ts"
import { LocalOperations } from "../platform/http/LocalCalls.ts"
import { Badges, badgeRoutes } from "./badges/Badges.ts"
import { certificateRoutes } from "./certificates/CertificateOperations.ts"
import { Certificates } from "./certificates/Certificates.ts"
import { SigningKeys } from "./certificates/SigningKeys.ts"
import { GuardianAccess } from "./GuardianAccess.ts"
import { GuardianDatabase } from "./GuardianDatabase.ts"
import { guardianSchema } from "./GuardianSchema.ts"
import { GuardianSettings } from "./GuardianSettings.ts"
import { sessionExpiry } from "./sessions/SessionExpiry.ts"
import { keepSessions } from "./sessions/SessionKeeping.ts"
import { sessionRoutes } from "./sessions/SessionOperations.ts"
import { sessionRetention } from "./sessions/SessionRetention.ts"
import { Sessions } from "./sessions/Sessions.ts"
import { Statistics } from "./sessions/Statistics.ts"
import { stopEnforcement } from "./stops/StopEnforcement.ts"

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

/** `POST /sessions/keep`: by a route for other processes, and in this process without a token. */
const services = (timeout: Duration.Duration) =>
  Layer.unwrapEffect(
    Effect.map(keepSessions(timeout), ({ inProcess, overHttp }) =>
      Layer.mergeAll(
        HttpApiBuilder.group(GuardianApi, "services", (group) =>
          group.handleRaw("keepSessions", ({ request }) => answerJson(overHttp)(request))
        ),
        Layer.provide(
          Layer.effectDiscard(Effect.map(LocalOperations, ({ add }) => add(contract.keepSessions.path, inProcess))),
          LocalOperations.layer
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
      Effect.map((found) => ({ ...found })),
      Effect.timeout("1 second"),
      Effect.orElseSucceed(() => undefined)
    ),
    "1 second"
  )
  return Effect.map(Effect.all([state, trail.status]), ([now, audit]) => ({
    ...now,
    counts,
    // The guardian needs its tables for every answer, and a trail that accepts its events.
    canAnswer: now.schemaStands && audit.accepting,
    audit: auditView(audit)
  }))
})

const server = Layer.unwrapEffect(
  Effect.gen(function* () {
    const { sessionRetention: retention, sessionTimeout } = yield* GuardianSettings
    const version = yield* guardianSchema.version
    const health = HttpApiBuilder.group(GuardianApi, "health", answerHealth("guardian", yield* makeReport))
    const recorded = auditedRoutes(
      Effect.all([certificateRoutes, sessionRoutes(sessionTimeout), badgeRoutes], { discard: true })
    ).pipe(Layer.provide(GuardianAccess.layer))
    return serve("guardian", GuardianApi, version.expected).pipe(
      Layer.provide([health, keys, recorded, Layer.provide(services(sessionTimeout), GuardianAccess.layer)]),
      // Below the port, so that they end after the last answer.
      Layer.provide([
        sessionExpiry(sessionTimeout),
        Layer.provide(sessionRetention(retention), GuardianDatabase.layer),
        stopEnforcement
      ])
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
