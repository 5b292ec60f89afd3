import * as Path from "node:path"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { AuditLog } from "../audit/AuditLog.ts"
import { GatekeeperClient as GatekeeperPeer } from "../clients/GatekeeperClient.ts"
import { GuardianClient as GuardianPeer } from "../clients/GuardianClient.ts"
import type { ServiceName } from "../domain/Service.ts"
import { EmbeddedPostgres } from "../embedded-postgres/EmbeddedPostgres.ts"
import * as Gatekeeper from "../gatekeeper/Gatekeeper.ts"
import { loadPolicy } from "../gatekeeper/policy/PolicyFile.ts"
import { Tokens } from "../gatekeeper/tokens/Tokens.ts"
import { SigningKeys } from "../guardian/certificates/SigningKeys.ts"
import * as Guardian from "../guardian/Guardian.ts"
import * as Migrator from "../migrator/Migrator.ts"
import { Settings } from "../platform/config/Settings.ts"
import { sharedAlgorithm } from "../platform/config/TokenSettings.ts"
import { Addresses } from "../platform/http/Addresses.ts"
import { Database } from "../platform/postgres/Database.ts"
import * as Logging from "../platform/telemetry/Logging.ts"
import * as Telemetry from "../platform/telemetry/Telemetry.ts"
import { Models } from "../router/models/ModelsFile.ts"
import * as Router from "../router/Router.ts"
import { allowedQuestion, renderBanner, tokenSubstitution } from "./Banner.ts"
import type { ProgramLocation } from "./ProgramLocation.ts"
import * as RemoteTrail from "./RemoteTrail.ts"
import { storage } from "./Storage.ts"

/**
 * The schemas of all services stand before the first port opens, and what those need that open theirs later is read: a process
 * whose start fails has answered nobody. The gatekeeper's policy and keys come before its own port, which is the first.
 */
const preparations = (services: ReadonlyArray<ServiceName>) => {
  const keys = services.includes("guardian") ? Layer.discard(SigningKeys.layer) : Layer.empty
  const models = services.includes("router") ? Layer.discard(Models.layer) : Layer.empty
  const layers = {
    gatekeeper: Layer.discard(Migrator.layer("gatekeeper")),
    guardian: Layer.discard(Migrator.layer("guardian")),
    router: Layer.discard(Migrator.layer("router"))
  }
  type Any = (typeof layers)[ServiceName]
  const none: Layer.Layer<never, Layer.Layer.Error<Any>, Layer.Layer.Context<Any>> = Layer.empty
  const schemas = services.reduce((before, service) => Layer.merge(layers[service], before), none)
  // What can be refused without a look at a schema comes first: no migration that has begun is cut off for it.
  return Layer.provide(schemas, Layer.merge(keys, models))
}

/** One after the other, each on those that it asks; so the end goes router, guardian, gatekeeper. */
const inOrder = (services: ReadonlyArray<ServiceName>) => {
  const layers = { gatekeeper: Gatekeeper.layer, guardian: Guardian.layer, router: Router.layer }
  type Any = (typeof layers)[ServiceName]
  const [first, ...rest] = services.map(
    (service): Layer.Layer<never, Layer.Layer.Error<Any>, Layer.Layer.Context<Any>> => layers[service]
  )
  return rest.reduce((before, next) => Layer.provide(next, before), first ?? Layer.empty)
}

/** On the database where the gatekeeper runs here; where it runs elsewhere, through it. */
const trailOf = (services: ReadonlyArray<ServiceName>) => {
  const own = Gatekeeper.trail
  const remote = RemoteTrail.layer(services)
  type Errors = Layer.Layer.Error<typeof own> | Layer.Layer.Error<typeof remote>
  type Needs = Layer.Layer.Context<typeof own> | Layer.Layer.Context<typeof remote>
  const trail: Layer.Layer<AuditLog, Errors, Needs> = services.includes("gatekeeper") ? own : remote
  return trail
}

const exampleQuestion = (place: ProgramLocation) =>
  Effect.gen(function* () {
    const settings = yield* Settings
    const question = allowedQuestion(yield* loadPolicy(settings.accessPolicyPath))
    if (question === undefined) return undefined
    // Tokens are made elsewhere.
    if (!settings.jwt.algorithms.includes(sharedAlgorithm)) return undefined
    if (!Logging.isTerminal("stderr")) {
      const { audience, issuer, secret } = settings.jwt
      const variables = {
        GRAVITAS_HOME: Path.resolve(settings.home),
        ...(Option.isSome(issuer) ? { JWT_ISSUER: issuer.value } : {}),
        ...(Option.isSome(audience) ? { JWT_AUDIENCE: audience.value } : {})
      }
      return {
        ...question,
        token: tokenSubstitution(place, variables, question.ghost),
        ...(Option.isSome(secret) ? { condition: "in a shell where JWT_SECRET_KEY is set as it is here" } : {})
      }
    }
    const issue = Effect.flatMap(Tokens, (tokens) =>
      tokens.issue(question.ghost, { groups: [], timeToLive: Duration.hours(24) })
    )
    return { ...question, token: Redacted.value(yield* Effect.provide(issue, Tokens.layer)) }
  }).pipe(Effect.catchTag("SigningUnavailable", () => Effect.succeed(undefined)))

const banner = (place: ProgramLocation, services: ReadonlyArray<ServiceName>) =>
  Effect.gen(function* () {
    const database = yield* Database
    const embedded = yield* Effect.serviceOption(EmbeddedPostgres)
    const addresses = yield* (yield* Addresses).all
    const example = services.includes("gatekeeper") ? yield* exampleQuestion(place) : undefined
    const notes = Option.match(embedded, {
      onNone: () => [],
      onSome: (server) => [`Embedded PostgreSQL ${server.version}, data in ${server.dataDirectory}`, ...server.notes]
    })
    const addressOf = new Map(services.map((service) => [service, database.address(service)]))
    yield* Console.error(renderBanner({ addresses, databases: addressOf, notes, example }))
  })

/**
 * Runs `services` until interrupted. The layers are the order of everything: PostgreSQL, pools, then each service's
 * schema, workers and port; at the end the other way round. `onReady` is run once all ports are open, and its finalizers
 * are the first to run.
 */
export const serve = <E, R>(
  services: ReadonlyArray<ServiceName>,
  place: ProgramLocation,
  onReady: Layer.Layer<never, E, R>
) =>
  Layer.launch(
    onReady.pipe(
      Layer.provide(Layer.effectDiscard(banner(place, services))),
      Layer.provide(inOrder(services)),
      Layer.provide([GatekeeperPeer.layer, GuardianPeer.layer]),
      Layer.provide(trailOf(services)),
      Layer.provide(preparations(services)),
      Layer.provide([storage(services, { join: false, beneathPools: Telemetry.layer }), Addresses.layer]),
      Layer.provide(Logging.layer("stdout"))
    )
  )
