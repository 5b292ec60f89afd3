import { randomUUID } from "node:crypto"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { SignJWT } from "jose"
import { grantTypes, issuer, requestToken, type TokenRefused, type TokenUnavailable } from "../../clients/PeerTokens.ts"
import { type ServiceName, serviceIdentity } from "../../domain/Service.ts"
import { Settings } from "../../platform/config/Settings.ts"
import * as KeyFile from "../../platform/os/KeyFile.ts"
import { isServiceTokenOverlong, sharedAlgorithm, TokenSettings } from "./TokenSettings.ts"

/** The command that makes a key known to the gatekeeper. */
const enrolCommand = (service: string, { x }: KeyFile.PublicKey): string => `gravitas service enroll ${service} ${x}`

/** In production a process apart must not have the secret that signs agents' tokens: with it a service could be any agent. */
export class SharedSecretRefused extends Schema.TaggedError<SharedSecretRefused>()("SharedSecretRefused", {
  setting: Schema.String,
  command: Schema.String
}) {
  override get message(): string {
    return (
      `${this.setting} must not be set with NODE_ENV=production in a process without the gatekeeper: a service proves itself by its own ` +
      `key. Unset it here, and run where the gatekeeper's database is: ${this.command}`
    )
  }
}

/** A gatekeeper without authentication cannot know which service asks it. */
export class AuthDisabledApart extends Schema.TaggedError<AuthDisabledApart>()("AuthDisabledApart", {
  services: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return (
      `AUTH_DISABLED=true works only in the process of the gatekeeper, and this one runs ${this.services.join(" and ")} alone: services in ` +
      "other processes prove themselves with tokens. Start all services in one process, or unset AUTH_DISABLED here and at the gatekeeper"
    )
  }
}

interface Credential {
  readonly token: string
  /** Milliseconds since the epoch: it is replaced then, so that it does not expire in flight. */
  readonly until: number
}

type TokenFailure = TokenRefused | TokenUnavailable

/** Life and use of a token that this process signs with the shared secret. */
const [timeToLive, renewedAfter] = [Duration.minutes(15), Duration.minutes(10)]

/** The share of a token's life after which it is replaced. */
const usedShare = 2 / 3

/** Seconds that an assertion is valid. */
const assertionLife = 30

const signShared = Effect.fnUntraced(function* (ghost: string, secret: Redacted.Redacted) {
  const jwt = yield* TokenSettings
  const key = new TextEncoder().encode(Redacted.value(secret))
  return Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const token = new SignJWT({ groups: [] })
      .setProtectedHeader({ alg: sharedAlgorithm, typ: "JWT" })
      .setSubject(ghost)
      .setIssuedAt(Math.floor(now / 1000))
      .setExpirationTime(Math.floor((now + Duration.toMillis(timeToLive)) / 1000))
    if (Option.isSome(jwt.issuer)) token.setIssuer(jwt.issuer.value)
    if (Option.isSome(jwt.audience)) token.setAudience(jwt.audience.value)
    return { token: yield* Effect.promise(() => token.sign(key)), until: now + Duration.toMillis(renewedAfter) }
  })
})

/** Asks the gatekeeper for a token by an assertion (RFC 7523), which the service's own key signs. */
const byAssertion = Effect.fnUntraced(function* (
  identity: string,
  key: KeyFile.PrivateKey,
  gatekeeper: Effect.Effect<string>
) {
  const client = yield* HttpClient.HttpClient
  return Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const seconds = Math.floor(now / 1_000)
    const assertion = yield* Effect.promise(() =>
      new SignJWT()
        .setProtectedHeader({ alg: "EdDSA", typ: "JWT", kid: key.id })
        .setIssuer(identity)
        .setSubject(identity)
        .setAudience(issuer)
        .setIssuedAt(seconds)
        .setExpirationTime(seconds + assertionLife)
        .setJti(randomUUID())
        .sign(key.key)
    )
    const form = { grant_type: grantTypes.assertion, assertion }
    const { access_token, expires_in } = yield* requestToken(yield* gatekeeper, form)
    return { token: access_token, until: now + expires_in * 1_000 * usedShare }
  }).pipe(Effect.provideService(HttpClient.HttpClient, client))
})

const longTokenWarning =
  "SERVICE_TOKEN is valid for longer than JWT_MAX_LIFETIME. The gatekeeper accepts it for the work of services outside production, " +
  "until the next minor version"

/** How the process gets its tokens, by its settings. */
const credentials = Effect.fnUntraced(function* (
  services: ReadonlyArray<ServiceName>,
  gatekeeper: Effect.Effect<string>
) {
  const jwt = yield* TokenSettings
  const { authDisabled, environment, home } = yield* Settings
  const isApart = !services.includes("gatekeeper")
  if (isApart && authDisabled) return yield* new AuthDisabledApart({ services })
  const own: ReadonlyArray<ServiceName> = isApart ? services : ["gatekeeper"]
  const identity = serviceIdentity(own)
  const key = yield* KeyFile.readOrMake(home, own.join("+"))
  const command = enrolCommand(own.join("+"), key)
  const isProduction = environment === "production"
  if (isApart && isProduction) {
    const setting = Option.isSome(jwt.secret)
      ? "JWT_SECRET_KEY"
      : jwt.previousSecrets.length > 0
        ? "JWT_PREVIOUS_SECRET_KEYS"
        : undefined
    if (setting !== undefined) return yield* new SharedSecretRefused({ setting, command })
  }
  const nextVersion = `It works outside production until the next minor version. Unset it, and run: ${command}`
  if (isApart && Option.isSome(jwt.serviceToken)) {
    yield* Effect.logWarning(`SERVICE_TOKEN is ${isProduction ? "ignored" : "used"}. ${nextVersion}`)
    if (isServiceTokenOverlong(jwt)) yield* Effect.logWarning(longTokenWarning)
    const token = Redacted.value(jwt.serviceToken.value)
    if (!isProduction) return Effect.succeed({ token, until: Number.POSITIVE_INFINITY })
  }
  if (isApart && Option.isSome(jwt.secret) && jwt.algorithms.includes(sharedAlgorithm)) {
    yield* Effect.logWarning(`JWT_SECRET_KEY is shared with the gatekeeper. ${nextVersion}`)
    return yield* signShared(identity, jwt.secret.value)
  }
  return yield* byAssertion(identity, key, gatekeeper)
})

/** The token by which a process asks the gatekeeper in its own name, without a caller's token. */
export class ServiceToken extends Context.Tag("gatekeeper/tokens/ServiceToken")<
  ServiceToken,
  {
    /** A value for the `Authorization` header. */
    readonly authorization: Effect.Effect<Redacted.Redacted, TokenFailure>
    /** Replaces a token that was refused. */
    readonly renew: Effect.Effect<void>
  }
>() {
  /** By the key of the services in this process's home; outside production also by `SERVICE_TOKEN` or the shared secret. */
  static readonly layer = (services: ReadonlyArray<ServiceName>, gatekeeper: Effect.Effect<string>) =>
    Layer.effect(
      ServiceToken,
      Effect.gen(function* () {
        const make: Effect.Effect<Credential, TokenFailure> = yield* credentials(services, gatekeeper)
        const turn = yield* Effect.makeSemaphore(1)
        let current: (Credential & { readonly madeAt: number }) | undefined
        return {
          authorization: Effect.gen(function* () {
            const now = yield* Clock.currentTimeMillis
            // Also when the clock stepped back: such a token may not be valid yet elsewhere.
            if (current === undefined || now >= current.until || now < current.madeAt) {
              current = { ...(yield* make), madeAt: now }
            }
            return Redacted.make(`Bearer ${current.token}`)
          }).pipe(turn.withPermits(1)),
          renew: Effect.sync(() => {
            current = undefined
          })
        }
      })
    )
}
