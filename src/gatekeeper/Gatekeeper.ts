import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../audit/AuditLog.ts"
import { auditLogOptions } from "../audit/AuditLogOptions.ts"
import { AuditReader } from "../audit/AuditReader.ts"
import { auditView } from "../audit/AuditView.ts"
import { AuditIngest } from "../audit/ingest/AuditIngest.ts"
import { TrailService } from "../audit/remote/TrailService.ts"
import { AuditLedger } from "../audit/sources/AuditLedger.ts"
import * as PostgresAuditStore from "../audit/store/PostgresAuditStore.ts"
import { GatekeeperApi } from "../contracts/gatekeeper/GatekeeperApi.ts"
import type { ServiceName } from "../domain/Service.ts"
import * as Migrator from "../migrator/Migrator.ts"
import { schemaProbe } from "../migrator/SchemaProbe.ts"
import { SchemaVersion } from "../migrator/SchemaVersion.ts"
import { Settings } from "../platform/config/Settings.ts"
import { serve } from "../platform/http/HttpServer.ts"
import { AccessControl } from "./AccessControl.ts"
import { handlers } from "./Http.ts"
import { PolicyInForce } from "./policy/PolicyInForce.ts"
import { anonymousGhost } from "./tokens/Anonymous.ts"
import { Tokens } from "./tokens/Tokens.ts"

const authDisabledWarning =
  `AUTH_DISABLED=true: nobody is asked who they are; every request is the ghost "${anonymousGhost}", may do what the policy ` +
  "lets that ghost do, and is marked auth:disabled in the trail. For development on this machine alone"

const makeReport = <S extends ServiceName>(version: SchemaVersion<S>) =>
  Effect.gen(function* () {
    const { gatekeeper } = yield* Settings
    const trail = yield* AuditLog
    if (gatekeeper.authDisabled) yield* Effect.logWarning(`DANGER: ${authDisabledWarning}`)
    const state = yield* schemaProbe(version)
    return Effect.gen(function* () {
      const now = yield* state
      const audit = yield* trail.status
      return {
        ...now,
        // It decides without its database for as long as the trail takes the events: no balancer need send them elsewhere.
        canAnswer: audit.accepting,
        ...(gatekeeper.authDisabled ? { warnings: [authDisabledWarning] } : {}),
        audit: auditView(audit)
      }
    })
  })

const accessControl = AccessControl.layer.pipe(Layer.provideMerge(PolicyInForce.layer), Layer.provide(Tokens.layer))

const server = Layer.unwrapEffect(
  Effect.gen(function* () {
    const version = yield* SchemaVersion.gatekeeper
    const report = yield* makeReport(version)
    return serve("gatekeeper", GatekeeperApi, version.expected).pipe(Layer.provide(handlers(report)))
  })
)

/** The trail of this process, on the gatekeeper's own tables; its schema stands before. */
export const trail = Layer.unwrapEffect(
  Effect.map(Settings, (settings) => AuditLog.layer(auditLogOptions(settings)))
).pipe(Layer.provide([PostgresAuditStore.layer, AuditLedger.layer]), Layer.provide(Migrator.layer("gatekeeper")))

/**
 * The gatekeeper: who are you, and may you do this? Its schema at head, then its port. It stands on a trail, so that the trail
 * is there before the port and closes after the last answer.
 */
export const layer = Layer.fresh(server).pipe(
  Layer.provide([accessControl, AuditReader.layer, AuditIngest.layer, TrailService.layer]),
  Layer.provide(AuditLedger.layer),
  Layer.provide(Migrator.layer("gatekeeper"))
)
