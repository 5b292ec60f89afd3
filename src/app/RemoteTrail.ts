import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { auditLogOptions } from "../audit/AuditLogOptions.ts"
import * as DeferredAuditLog from "../audit/remote/DeferredAuditLog.ts"
import * as RemoteAuditLedger from "../audit/remote/RemoteAuditLedger.ts"
import * as RemoteAuditStore from "../audit/remote/RemoteAuditStore.ts"
import { urlOf } from "../clients/PeerHttp.ts"
import type { ServiceName } from "../domain/Service.ts"
import { ServiceToken } from "../platform/config/ServiceToken.ts"
import { Settings } from "../platform/config/Settings.ts"

/**
 * The ghost of a process without the gatekeeper: that of the first of its services. It owns the sources that it registers, so
 * that a guardian and a router which run apart write in each other's place never.
 */
export const ghostOf = (services: ReadonlyArray<ServiceName>): string => `service:${services[0] ?? "none"}`

/** The trail of a process without the gatekeeper: its own journal and drain, and the gatekeeper's store at their end. */
export const layer = (services: ReadonlyArray<ServiceName>) =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const settings = yield* Settings
      const location = yield* urlOf("gatekeeper")
      const token = yield* ServiceToken
      const options = { location, token }
      return DeferredAuditLog.layer(auditLogOptions(settings)).pipe(
        Layer.provide([RemoteAuditStore.layer(options), RemoteAuditLedger.layer(options)])
      )
    })
  ).pipe(Layer.provide([ServiceToken.layer(ghostOf(services)), NodeHttpClient.layerUndici]))
