import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { auditLogOptions } from "../audit/AuditSettings.ts"
import * as DeferredAuditLog from "../audit/remote/DeferredAuditLog.ts"
import * as RemoteAuditStore from "../audit/remote/RemoteAuditStore.ts"
import { ledgerLayer } from "../audit/remote/RemoteAuditStore.ts"
import { urlOf } from "../clients/PeerHttp.ts"
import type { ServiceName } from "../domain/Service.ts"
import { ServiceToken } from "../gatekeeper/tokens/ServiceToken.ts"

/**
 * The ghost of a process without the gatekeeper, named after its first service. It owns the sources that it registers, so a
 * guardian and a router that run apart can never write as each other.
 */
export const ghostOf = (services: ReadonlyArray<ServiceName>): string => `service:${services[0] ?? "none"}`

/** The trail of a process without the gatekeeper: its own journal and writer, on the gatekeeper's store. */
export const layer = (services: ReadonlyArray<ServiceName>) =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const location = yield* urlOf("gatekeeper")
      const token = yield* ServiceToken
      const options = { location, token }
      return DeferredAuditLog.layer(yield* auditLogOptions).pipe(
        Layer.provide([RemoteAuditStore.layer(options), ledgerLayer(options)])
      )
    })
  ).pipe(Layer.provide([ServiceToken.layer(ghostOf(services)), NodeHttpClient.layerUndici]))
