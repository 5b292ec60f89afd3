import * as Path from "node:path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLedger } from "../audit/AuditLedger.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { AuditReader } from "../audit/AuditReader.ts"
import { AuditIngest } from "../audit/ingest/AuditIngest.ts"
import * as PostgresAuditStore from "../audit/PostgresAuditStore.ts"
import type { ServiceName } from "../domain/Service.ts"
import * as Migrator from "../migrator/Migrator.ts"
import { schemaProbe } from "../migrator/SchemaProbe.ts"
import { SchemaVersion } from "../migrator/SchemaVersion.ts"
import { serve } from "../platform/http/HttpServer.ts"
import { routesOf } from "../platform/http/Strays.ts"
import { Settings } from "../platform/Settings.ts"
import { shutdownShares } from "../platform/ShutdownShares.ts"
import { AccessControl } from "./AccessControl.ts"
import { GatekeeperApi } from "./Api.ts"
import { handlers } from "./Http.ts"
import { auditView } from "./PipelineView.ts"
import { loadPolicy } from "./PolicyFile.ts"
import { Tokens } from "./Tokens.ts"

const makeReport = <S extends ServiceName>(version: SchemaVersion<S>) =>
  Effect.gen(function* () {
    const trail = yield* AuditLog
    const state = yield* schemaProbe(version)
    return Effect.gen(function* () {
      const now = yield* state
      const audit = yield* trail.status
      return {
        ...now,
        // It decides without its database for as long as the trail takes the events: no balancer need send them elsewhere.
        canAnswer: audit.accepting,
        audit: auditView(audit)
      }
    })
  })

const accessControl = Layer.unwrapEffect(
  Effect.gen(function* () {
    const { accessPolicyPath } = yield* Settings
    return AccessControl.layer(yield* loadPolicy(accessPolicyPath))
  })
).pipe(Layer.provide(Tokens.layer))

const server = Layer.unwrapEffect(
  Effect.gen(function* () {
    const version = yield* SchemaVersion.gatekeeper
    const report = yield* makeReport(version)
    return serve("gatekeeper", routesOf(GatekeeperApi), version.expected).pipe(Layer.provide(handlers(report)))
  })
)

/** Told at the end how many events were answered and are not in the database. */
export type OnUnwritten = (count: number) => Effect.Effect<void>

/** The trail of this process, on the gatekeeper's own tables; its schema stands before. */
export const trail = (onUnwritten: OnUnwritten) =>
  Layer.unwrapEffect(
    Effect.map(Settings, ({ audit, home, shutdownDeadline }) =>
      AuditLog.layer({
        ...audit,
        journal: {
          directory: Path.resolve(home, "journal"),
          maxBytes: audit.journalMaxBytes,
          flushInterval: audit.journalFlushInterval
        },
        shutdownDeadline: Duration.times(shutdownDeadline, shutdownShares.trail),
        onUnwritten
      })
    )
  ).pipe(Layer.provide([PostgresAuditStore.layer, AuditLedger.layer]), Layer.provide(Migrator.layer("gatekeeper")))

/**
 * The gatekeeper: who are you, and may you do this? Its schema at head, then its port. It stands on a trail, so that the trail
 * is there before the port and closes after the last answer.
 */
export const layer = Layer.fresh(server).pipe(
  Layer.provide([accessControl, AuditReader.layer, AuditLedger.layer, AuditIngest.layer]),
  Layer.provide(Migrator.layer("gatekeeper"))
)
