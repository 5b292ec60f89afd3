import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import { sessionTimeout } from "../clients/ClientSettings.ts"
import * as Setting from "../platform/config/Setting.ts"

const guardianSettings = Setting.all({
  /** The private Ed25519 key that signs certificates: PKCS #8 in PEM, or a JWK. */
  signingKey: Setting.secret(
    "GUARDIAN_SIGNING_KEY",
    {
      expected: "a private Ed25519 key, as PKCS #8 in PEM (line ends may be written as \\n) or as a JWK",
      example: '"$(openssl genpkey -algorithm ed25519)"'
    },
    (given) => given.startsWith("{") || given.startsWith("-----BEGIN PRIVATE KEY-----")
  ),
  /** A JWKS (RFC 7517) of keys that signed before, and may still verify. */
  formerKeys: Setting.secret(
    "GUARDIAN_FORMER_KEYS",
    { expected: "a JWKS of Ed25519 keys", example: '{"keys":[]}' },
    (given) => given.startsWith("{")
  ),
  sessionTimeout,
  /** How long a session that has ended stays in the table. */
  sessionRetention: Setting.duration("GUARDIAN_SESSION_RETENTION", { min: "1 hour", max: "3650 days" }, "30d").pipe(
    Setting.orDefault(Duration.days(90), "90d")
  )
})

export class GuardianSettings extends Context.Tag("guardian/GuardianSettings")<
  GuardianSettings,
  Setting.Value<typeof guardianSettings>
>() {
  static readonly config = guardianSettings
}
