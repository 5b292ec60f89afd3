import * as Path from "node:path"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { AuditLog } from "../audit/AuditLog.ts"
import { auditLogOptions } from "../audit/AuditSettings.ts"
import * as DeferredAuditLog from "../audit/remote/DeferredAuditLog.ts"
import * as RemoteAuditStore from "../audit/remote/RemoteAuditStore.ts"
import { GatekeeperClient as GatekeeperPeer } from "../clients/GatekeeperClient.ts"
import { GuardianClient as GuardianPeer } from "../clients/GuardianClient.ts"
import { urlOf } from "../clients/PeerCall.ts"
import * as PeerHttp from "../clients/PeerHttp.ts"
import { ServiceAuthorization } from "../clients/ServiceAuthorization.ts"
import * as StopFollower from "../clients/StopFollower.ts"
import type { Stops } from "../clients/Stops.ts"
import type { ServiceName } from "../domain/Service.ts"
import { EmbeddedPostgres } from "../embedded-postgres/EmbeddedPostgres.ts"
import * as Gatekeeper from "../gatekeeper/Gatekeeper.ts"
import { GatekeeperSettings } from "../gatekeeper/GatekeeperSettings.ts"
import { loadPolicy } from "../gatekeeper/policy/PolicyFile.ts"
import { StopRegister } from "../gatekeeper/stops/StopRegister.ts"
import { ServiceToken } from "../gatekeeper/tokens/ServiceToken.ts"
import { sharedAlgorithm, TokenSettings } from "../gatekeeper/tokens/TokenSettings.ts"
import { AllowedInsecurities, warningOf } from "../platform/config/InsecureSettings.ts"
import { startWords } from "../platform/config/ProgramLocation.ts"
import { Settings } from "../platform/config/Settings.ts"
import { Addresses } from "../platform/http/Listener.ts"
import { Database } from "../platform/postgres/Database.ts"
import * as DroppedLines from "../platform/telemetry/DroppedLines.ts"
import * as Logging from "../platform/telemetry/Logging.ts"
import * as Telemetry from "../platform/telemetry/Telemetry.ts"
import { allowedQuestion, type Example, renderBanner, tokenSubstitution } from "./Banner.ts"
import { secureSettings } from "./Production.ts"
import { preparationsOf, serversOf } from "./Services.ts"
import { storage } from "./Storage.ts"

/**
 * The ghost of a process without the gatekeeper, named after its first service. It owns the sources that it registers, so a
 * guardian and a router that run apart can never write as each other.
 */
const ghostOf = (services: ReadonlyArray<ServiceName>): string => `service:${services[0] ?? "none"}`

/** The trail of a process without the gatekeeper: its own journal and writer, on the gatekeeper's store. */
export const remoteTrail = (services: ReadonlyArray<ServiceName>) =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const location = yield* urlOf("gatekeeper")
      const token = yield* ServiceToken
      const options = { location, token }
      return DeferredAuditLog.layer(yield* auditLogOptions).pipe(
        Layer.provide([RemoteAuditStore.layer(options), RemoteAuditStore.ledgerLayer(options)])
      )
    })
  ).pipe(Layer.provide([ServiceToken.layer(ghostOf(services)), PeerHttp.layer({})]))

/**
 * How this process proves which service it is, to those that run elsewhere. A process with the gatekeeper may have no secret: then all
 * that it has to ask runs in it, or knows it by other means.
 */
const serviceAuthorization = (services: ReadonlyArray<ServiceName>) => {
  const own = Layer.effect(ServiceAuthorization, ServiceToken).pipe(
    Layer.provide(ServiceToken.layer(ghostOf(services)))
  )
  return services.includes("gatekeeper") ? Layer.catchAll(own, () => Layer.empty) : own
}

/** What is stopped, as this process knows it: from its own gatekeeper, else by the feed of one. */
const stopsOf = (services: ReadonlyArray<ServiceName>) => {
  const own = StopRegister.stops
  const remote = Layer.unwrapEffect(
    Effect.map(Effect.all([urlOf("gatekeeper"), ServiceToken]), ([location, token]) =>
      StopFollower.layer({ owner: services[0] ?? "none", location, token })
    )
  ).pipe(Layer.provide([ServiceToken.layer(ghostOf(services)), PeerHttp.layer({})]))
  type Errors = Layer.Layer.Error<typeof own> | Layer.Layer.Error<typeof remote>
  type Needs = Layer.Layer.Context<typeof own> | Layer.Layer.Context<typeof remote>
  const stops: Layer.Layer<Stops, Errors, Needs> = services.includes("gatekeeper") ? own : remote
  return stops
}

/** The trail of this process: on the database if the gatekeeper runs here, else through the gatekeeper. */
const trailOf = (services: ReadonlyArray<ServiceName>) => {
  const own = Gatekeeper.trail
  const remote = remoteTrail(services)
  type Errors = Layer.Layer.Error<typeof own> | Layer.Layer.Error<typeof remote>
  type Needs = Layer.Layer.Context<typeof own> | Layer.Layer.Context<typeof remote>
  const trail: Layer.Layer<AuditLog, Errors, Needs> = services.includes("gatekeeper") ? own : remote
  return trail
}

/** A first request; undefined if the policy allows none, or if tokens are made elsewhere. */
const exampleRequest = Effect.gen(function* () {
  const { home } = yield* Settings
  const { algorithms, audience, issuer, secret } = yield* TokenSettings
  const { accessPolicyPath } = yield* GatekeeperSettings
  const question = allowedQuestion(yield* loadPolicy(accessPolicyPath))
  if (question === undefined || !algorithms.includes(sharedAlgorithm)) return undefined
  const variables = {
    GRAVITAS_HOME: Path.resolve(home),
    ...(Option.isSome(issuer) ? { JWT_ISSUER: issuer.value } : {}),
    ...(Option.isSome(audience) ? { JWT_AUDIENCE: audience.value } : {})
  }
  const example: Example = {
    ...question,
    token: tokenSubstitution([process.cwd(), ...startWords], variables, question.ghost),
    ...(Option.isSome(secret) ? { condition: "in a shell where JWT_SECRET_KEY is set as it is here" } : {})
  }
  return example
})

const banner = (services: ReadonlyArray<ServiceName>) =>
  Effect.gen(function* () {
    const database = yield* Database
    const embedded = yield* Effect.serviceOption(EmbeddedPostgres)
    const addresses = yield* (yield* Addresses).all
    const example = services.includes("gatekeeper") ? yield* exampleRequest : undefined
    const server = Option.match(embedded, {
      onNone: () => [],
      onSome: (server) => [`Embedded PostgreSQL ${server.version}, data in ${server.dataDirectory}`, ...server.notes]
    })
    const notes = [...server, ...(yield* AllowedInsecurities).map(warningOf)]
    const addressOf = new Map(services.map((service) => [service, database.address(service)]))
    const text = renderBanner({ addresses, databases: addressOf, notes, example })
    // As a log line it waits for no reader of stderr.
    yield* Console.consoleWith((console) => Effect.sync(() => console.unsafe.error(text)))
  })

/**
 * Runs `services` until interrupted. The layers are in the order of a start, from the last line up: PostgreSQL, pools, each
 * service's schema, workers and port. The end goes the other way round. `onReady` runs once all ports are open, and its
 * finalizers run first.
 */
export const serve = <E, R>(services: ReadonlyArray<ServiceName>, onReady: Layer.Layer<never, E, R>) =>
  Layer.launch(
    onReady.pipe(
      Layer.provide(Layer.effectDiscard(banner(services))),
      Layer.provide(serversOf(services)),
      Layer.provide([GatekeeperPeer.layer, GuardianPeer.layer]),
      Layer.provide(serviceAuthorization(services)),
      Layer.provide(stopsOf(services)),
      Layer.provide(trailOf(services)),
      Layer.provide(preparationsOf(services)),
      Layer.provide([storage(services, { join: false, beneathPools: Telemetry.layer }), Addresses.layer]),
      Layer.provide(secureSettings(services)),
      Layer.provide(Layer.provideMerge(DroppedLines.layer, Logging.layer("stdout")))
    )
  )
