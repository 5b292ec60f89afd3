import * as Path from "node:path"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { AuditLog } from "../audit/AuditLog.ts"
import { AuditSettings, auditLogOptions } from "../audit/AuditSettings.ts"
import * as DeferredAuditLog from "../audit/remote/DeferredAuditLog.ts"
import * as RemoteAuditStore from "../audit/remote/RemoteAuditStore.ts"
import { GatekeeperClient as GatekeeperPeer } from "../clients/GatekeeperClient.ts"
import { GuardianClient as GuardianPeer } from "../clients/GuardianClient.ts"
import * as PeerCall from "../clients/PeerCall.ts"
import { urlOf } from "../clients/PeerCall.ts"
import * as PeerHttp from "../clients/PeerHttp.ts"
import { PeerTokens, type TokenRefused, type TokenUnavailable } from "../clients/PeerTokens.ts"
import { ServiceAuthorization } from "../clients/ServiceAuthorization.ts"
import * as StopFollower from "../clients/StopFollower.ts"
import type { Stops } from "../clients/Stops.ts"
import { durabilitiesText } from "../domain/Durability.ts"
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
import { Departure } from "../platform/os/Departure.ts"
import { Database } from "../platform/postgres/Database.ts"
import { DatabaseError } from "../platform/postgres/DatabaseError.ts"
import * as DroppedLines from "../platform/telemetry/DroppedLines.ts"
import * as Logging from "../platform/telemetry/Logging.ts"
import * as Telemetry from "../platform/telemetry/Telemetry.ts"
import { allowedQuestion, type Example, renderBanner, tokenSubstitution } from "./Banner.ts"
import { secureSettings } from "./Production.ts"
import { preparationsOf, serversOf } from "./Services.ts"
import { storage } from "./Storage.ts"

/** How this process proves itself to a gatekeeper. */
const credentialOf = (services: ReadonlyArray<ServiceName>) =>
  Layer.unwrapEffect(Effect.map(urlOf("gatekeeper"), (location) => ServiceToken.layer(services, location))).pipe(
    Layer.provide(PeerHttp.layer({}))
  )

/** A refused service keeps its events and waits, as for a database that does not let it in. */
const asDatabaseError = (failure: TokenRefused | TokenUnavailable) =>
  failure._tag === "TokenRefused"
    ? new DatabaseError({
        phase: "statement",
        sqlstate: "28000",
        reason: `the gatekeeper gives no token: ${failure.reason}`
      })
    : new DatabaseError({ phase: "connect", reason: failure.reason })

/** The trail of a process without the gatekeeper: its own journal and writer, on the gatekeeper's store. */
export const remoteTrail = (services: ReadonlyArray<ServiceName>, credential = credentialOf(services)) =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const location = yield* urlOf("gatekeeper")
      const { authorization, renew } = yield* ServiceToken
      const options = { location, token: { authorization: Effect.mapError(authorization, asDatabaseError), renew } }
      return DeferredAuditLog.layer(yield* auditLogOptions).pipe(
        Layer.provide([RemoteAuditStore.layer(options), RemoteAuditStore.ledgerLayer(options)])
      )
    })
  ).pipe(Layer.provide([credential, PeerHttp.layer({})]))

/** How this process proves which service it is to a guardian that runs elsewhere. */
const serviceAuthorization = (services: ReadonlyArray<ServiceName>, credential: ReturnType<typeof credentialOf>) =>
  services.includes("guardian")
    ? Layer.empty
    : Layer.effect(ServiceAuthorization, ServiceToken).pipe(Layer.provide(credential))

/** What is stopped, as this process knows it: from its own gatekeeper, else by the feed of one. */
const stopsOf = (services: ReadonlyArray<ServiceName>, credential: ReturnType<typeof credentialOf>) => {
  const own = StopRegister.stops
  const remote = Layer.unwrapEffect(
    Effect.map(Effect.all([urlOf("gatekeeper"), ServiceToken]), ([location, token]) =>
      StopFollower.layer({ owner: services[0] ?? "none", location, token })
    )
  ).pipe(Layer.provide([credential, PeerHttp.layer({})]))
  type Errors = Layer.Layer.Error<typeof own> | Layer.Layer.Error<typeof remote>
  type Needs = Layer.Layer.Context<typeof own> | Layer.Layer.Context<typeof remote>
  const stops: Layer.Layer<Stops, Errors, Needs> = services.includes("gatekeeper") ? own : remote
  return stops
}

/** The trail of this process: on the database if the gatekeeper runs here, else through the gatekeeper. */
const trailOf = (services: ReadonlyArray<ServiceName>, credential: ReturnType<typeof credentialOf>) => {
  const own = Gatekeeper.trail
  const remote = remoteTrail(services, credential)
  type Errors = Layer.Layer.Error<typeof own> | Layer.Layer.Error<typeof remote>
  type Needs = Layer.Layer.Context<typeof own> | Layer.Layer.Context<typeof remote>
  const trail: Layer.Layer<AuditLog, Errors, Needs> = services.includes("gatekeeper") ? own : remote
  return trail
}

/** The tokens with which services of this process call those of others. */
const peerTokensOf = (credential: ReturnType<typeof credentialOf>) =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const gatekeeper = yield* urlOf("gatekeeper")
      const { authorization, renew } = yield* ServiceToken
      return PeerTokens.layer({ gatekeeper, authorization, renew })
    })
  ).pipe(Layer.provide([credential, PeerCall.layer]))

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
    const home = Path.resolve((yield* Settings).home)
    const places = [
      "Each port has /docs, /health and /metrics.",
      `Home ${home}; audit events in mode ${durabilitiesText((yield* AuditSettings).durability)}`
    ]
    const notes = [...places, ...server, ...(yield* AllowedInsecurities).map(warningOf)]
    const addressOf = new Map(services.map((service) => [service, database.address(service)]))
    const text = renderBanner({ addresses, databases: addressOf, notes, example })
    // As a log line it waits for no reader of stderr.
    yield* Console.consoleWith((console) => Effect.sync(() => console.unsafe.error(text)))
  })

/**
 * Runs `services` until interrupted. The layers are in the order of a start, from the last line up: PostgreSQL, pools, each
 * service's schema, workers and port. The end goes the other way round. `onStart` runs first, `onReady` once all ports are open;
 * its finalizers run first.
 */
export const serve = <E, R, E2, R2>(
  services: ReadonlyArray<ServiceName>,
  { onReady, onStart }: { readonly onReady: Layer.Layer<never, E, R>; readonly onStart: Layer.Layer<never, E2, R2> }
) => {
  const credential = credentialOf(services)
  return Layer.launch(
    onReady.pipe(
      Layer.provide(Layer.effectDiscard(banner(services))),
      Layer.provide(serversOf(services)),
      Layer.provide([GatekeeperPeer.layer, GuardianPeer.layer]),
      Layer.provide(serviceAuthorization(services, credential)),
      Layer.provide(peerTokensOf(credential)),
      Layer.provide(stopsOf(services, credential)),
      Layer.provide(trailOf(services, credential)),
      Layer.provide(preparationsOf(services)),
      Layer.provide([
        storage(services, { join: false, beneathPools: Telemetry.layer }),
        Addresses.layer,
        Departure.layer
      ]),
      Layer.provide(secureSettings(services)),
      Layer.provide(onStart),
      Layer.provide(Layer.provideMerge(DroppedLines.layer, Logging.layer("stdout")))
    )
  )
}
