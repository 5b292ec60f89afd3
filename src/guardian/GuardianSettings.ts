import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { sessionTimeout } from "../clients/ClientSettings.ts"
import * as Setting from "../platform/config/Setting.ts"

interface GuardianSettingsValues {
  /** The private Ed25519 key that signs certificates: PKCS #8 in PEM, or a JWK. */
  readonly signingKey: Option.Option<Redacted.Redacted>
  /** A JWKS (RFC 7517) of keys that signed before, and may still verify. */
  readonly formerKeys: Option.Option<Redacted.Redacted>
  /** How long a session may be silent before it is ended as expired. */
  readonly sessionTimeout: Duration.Duration
}

const guardianSettings: Setting.Setting<GuardianSettingsValues> = Setting.all({
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
  sessionTimeout
})

/** The guardian's own settings. */
export class GuardianSettings extends Context.Tag("guardian/GuardianSettings")<
  GuardianSettings,
  GuardianSettingsValues
>() {
  static readonly config = guardianSettings
}
