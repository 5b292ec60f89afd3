import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Setting from "./Setting.ts"

export interface GuardianSettings {
  /** The private Ed25519 key that signs certificates: PKCS #8 in PEM, or a JWK. */
  readonly signingKey: Option.Option<Redacted.Redacted>
  /** A JWKS (RFC 7517) of keys that signed before, and may still verify. */
  readonly formerKeys: Option.Option<Redacted.Redacted>
  /** How long a session may be silent before it is ended as expired. */
  readonly sessionTimeout: Duration.Duration
}

export const guardianSettings: Config.Config<GuardianSettings> = Config.all({
  signingKey: Setting.secret(
    "GUARDIAN_SIGNING_KEY",
    {
      expected: "a private Ed25519 key, as PKCS #8 in PEM (line ends may be written as \\n) or as a JWK",
      example: '"$(openssl genpkey -algorithm ed25519)"'
    },
    (given) => given.startsWith("{") || given.startsWith("-----BEGIN PRIVATE KEY-----")
  ),
  formerKeys: Setting.secret(
    "GUARDIAN_FORMER_KEYS",
    { expected: "a JWKS of Ed25519 keys", example: '{"keys":[]}' },
    (given) => given.startsWith("{")
  ),
  sessionTimeout: Setting.duration("GUARDIAN_SESSION_TIMEOUT", { min: "1 second", max: "30 days" }, "15m").pipe(
    Setting.orDefault(Duration.minutes(15))
  )
})
