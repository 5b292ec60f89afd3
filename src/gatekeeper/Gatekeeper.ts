import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../audit/AuditLog.ts"
import { AuditReader } from "../audit/AuditReader.ts"
import { auditLogOptions } from "../audit/AuditSettings.ts"
import { AuditIngest } from "../audit/ingest/AuditIngest.ts"
import { auditView } from "../audit/PipelineStatus.ts"
import { TrailService } from "../audit/remote/TrailService.ts"
import { AuditLedger } from "../audit/sources/AuditLedger.ts"
import * as PostgresAuditStore from "../audit/store/PostgresAuditStore.ts"
import { GatekeeperApi } from "../contracts/gatekeeper/GatekeeperApi.ts"
import type { ServiceName } from "../domain/Service.ts"
import { type SchemaVersion, schemaProbe } from "../migrator/SchemaVersion.ts"
import { serve } from "../platform/http/HttpServer.ts"
import { AccessControl } from "./AccessControl.ts"
import { gatekeeperSchema } from "./GatekeeperSchema.ts"
import { GatekeeperSettings } from "./GatekeeperSettings.ts"
import { routes } from "./Http.ts"
import { PolicyInForce } from "./policy/PolicyInForce.ts"
import { anonymousGhost } from "./tokens/BearerToken.ts"
import { Tokens } from "./tokens/Tokens.ts"

const authDisabledWarning =
  `AUTH_DISABLED=true: no caller is authenticated; every request is the ghost "${anonymousGhost}", may do what the policy ` +
  "allows that ghost, and is marked auth:disabled in the trail. Use it for development on this machine only"

const makeReport = <S extends ServiceName>(version: SchemaVersion<S>) =>
  Effect.gen(function* () {
    const { authDisabled } = yield* GatekeeperSettings
    const trail = yield* AuditLog
    if (authDisabled) yield* Effect.logWarning(`DANGER: ${authDisabledWarning}`)
    const state = yield* schemaProbe(version)
    return Effect.gen(function* () {
      const now = yield* state
      const audit = yield* trail.status
      return {
        ...now,
        // The gatekeeper decides without its database while the trail accepts events, so a balancer keeps sending requests.
        canAnswer: audit.accepting,
        ...(authDisabled ? { warnings: [authDisabledWarning] } : {}),
        audit: auditView(audit)
      }
    })
  })

const accessControl = AccessControl.layer.pipe(Layer.provideMerge(PolicyInForce.layer), Layer.provide(Tokens.layer))

const server = Layer.unwrapEffect(
  Effect.gen(function* () {
    const version = yield* gatekeeperSchema.version
    const report = yield* makeReport(version)
    return serve("gatekeeper", GatekeeperApi, version.expected).pipe(Layer.provide(routes(report)))
  })
)

/** The trail of this process, on the gatekeeper's own tables. Its schema is migrated first. */
export const trail = Layer.unwrapEffect(Effect.map(auditLogOptions, AuditLog.layer)).pipe(
  Layer.provide([PostgresAuditStore.layer, AuditLedger.layer]),
  Layer.provide(gatekeeperSchema.layer)
)

/**
 * The gatekeeper: who are you, and may you do this? Its schema is migrated before its port opens. It needs a trail, so the trail
 * starts before the port opens and closes after the last answer.
 */
export const layer = Layer.fresh(server).pipe(
  Layer.provide([accessControl, AuditReader.layer, AuditIngest.layer, TrailService.layer]),
  Layer.provide(AuditLedger.layer),
  Layer.provide(gatekeeperSchema.layer)
)
