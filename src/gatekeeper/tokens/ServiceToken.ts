import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { SignJWT } from "jose"
import { signingSecret } from "./SigningSecret.ts"
import { isServiceTokenOverlong, sharedAlgorithm, TokenSettings } from "./TokenSettings.ts"

/** A service asks the gatekeeper in its own name, but has no token and no secret to make one. */
export class ServiceTokenMissing extends Schema.TaggedError<ServiceTokenMissing>()("ServiceTokenMissing", {
  ghost: Schema.String
}) {
  override get message(): string {
    return (
      `this process asks the gatekeeper as ${this.ghost} and has no token for that. Set SERVICE_TOKEN to one whose \`sub\` may \`write\` on ` +
      `\`audit/store\`, or JWT_SECRET_KEY to the secret that signs tokens (and JWT_ALGORITHMS, if set, to allow ${sharedAlgorithm}), so that ` +
      "it makes its own."
    )
  }
}

const longTokenWarning =
  "SERVICE_TOKEN is valid for longer than JWT_MAX_LIFETIME. The gatekeeper accepts it for the work of services outside production, " +
  "until the next minor version. Make a shorter one with `gravitas token <its sub>`, or set JWT_SECRET_KEY, with which this process makes its own"

const timeToLive = Duration.minutes(15)

/** The age at which a token is replaced, so that it does not expire in flight. */
const renewedAfter = Duration.minutes(10)

/** The token by which a service of this process asks the gatekeeper in its own name, without a caller's token. */
export class ServiceToken extends Context.Tag("gatekeeper/tokens/ServiceToken")<
  ServiceToken,
  {
    /** A value for the `Authorization` header. */
    readonly authorization: Effect.Effect<Redacted.Redacted>
    /** Replaces a token that was refused. Does nothing where `SERVICE_TOKEN` is set. */
    readonly renew: Effect.Effect<void>
  }
>() {
  /** Uses `SERVICE_TOKEN` where it is set, else makes short-lived tokens for `ghost` with the gatekeeper's secret. */
  static readonly layer = (ghost: string) =>
    Layer.effect(
      ServiceToken,
      Effect.gen(function* () {
        const jwt = yield* TokenSettings
        if (Option.isSome(jwt.serviceToken)) {
          if (isServiceTokenOverlong(jwt)) yield* Effect.logWarning(longTokenWarning)
          const given = Redacted.make(`Bearer ${Redacted.value(jwt.serviceToken.value)}`)
          return { authorization: Effect.succeed(given), renew: Effect.void }
        }
        // The gatekeeper would refuse such a token, and the service would retry for ever.
        if (!jwt.algorithms.includes(sharedAlgorithm)) return yield* new ServiceTokenMissing({ ghost })
        const secret = yield* signingSecret.pipe(
          Effect.catchTag("SigningSecretMissing", () => Effect.fail(new ServiceTokenMissing({ ghost })))
        )
        const key = new TextEncoder().encode(Redacted.value(secret))
        const make = (now: number) => {
          const token = new SignJWT({ groups: [] })
            .setProtectedHeader({ alg: sharedAlgorithm, typ: "JWT" })
            .setSubject(ghost)
            .setIssuedAt(Math.floor(now / 1000))
            .setExpirationTime(Math.floor((now + Duration.toMillis(timeToLive)) / 1000))
          if (Option.isSome(jwt.issuer)) token.setIssuer(jwt.issuer.value)
          if (Option.isSome(jwt.audience)) token.setAudience(jwt.audience.value)
          return Effect.map(
            Effect.promise(() => token.sign(key)),
            (signed) => Redacted.make(`Bearer ${signed}`)
          )
        }
        let current: { readonly value: Redacted.Redacted; readonly madeAt: number } | undefined
        return {
          authorization: Effect.gen(function* () {
            const now = yield* Clock.currentTimeMillis
            // Also when the clock stepped back: such a token may not be valid yet elsewhere.
            const age = now - (current?.madeAt ?? 0)
            if (current !== undefined && age >= 0 && age < Duration.toMillis(renewedAfter)) return current.value
            const value = yield* make(now)
            current = { value, madeAt: now }
            return value
          }),
          renew: Effect.sync(() => {
            current = undefined
          })
        }
      })
    )
}
