import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Setting from "../platform/config/Setting.ts"

/** How long a session may be silent before the guardian ends it as expired. The guardian and its clients must agree on it. */
export const sessionTimeout = Setting.duration(
  "GUARDIAN_SESSION_TIMEOUT",
  { min: "1 second", max: "30 days" },
  "15m"
).pipe(Setting.orDefault(Duration.minutes(15)))

/** The gatekeeper and those that watch a token's end must agree on it, so both read this variable. */
export const clockTolerance = Setting.duration("JWT_CLOCK_TOLERANCE", { min: "0 millis", max: "5 minutes" }, "5s").pipe(
  Setting.orDefault(Duration.zero, "0s")
)

/** The CA of peers over https, in PEM; None: those that Node knows. The issuer at `JWKS_URL` may have a certificate of it too. */
export const peerCaFile = Setting.text("PEER_CA_FILE", { expected: "a file in PEM", example: "/etc/gravitas/ca.crt" })

const clientSettings = Setting.all({
  /** Where services that run elsewhere are; None: in this process, or on this machine at the default port. */
  peerUrls: Setting.all({
    gatekeeper: Setting.origin("GATEKEEPER_URL", "http://127.0.0.1:8001"),
    guardian: Setting.origin("GUARDIAN_URL", "http://127.0.0.1:8003")
  }),
  peerCaFile,
  /** How long a peer may take to answer; then the caller is refused. */
  peerTimeout: Setting.duration("PEER_TIMEOUT", { min: "10 millis", max: "1 minute" }, "2s").pipe(
    Setting.orDefault(Duration.seconds(2))
  ),
  sessionTimeout,
  /** How far the clock of a token's issuer may be from ours. */
  clockTolerance,
  /** How long the feed of stops may be silent before answers in flight are ended. */
  stopFeedGrace: Setting.duration("STOP_FEED_GRACE", { min: "3 seconds", max: "1 hour" }, "15s").pipe(
    Setting.orDefault(Duration.seconds(15))
  )
})

export class ClientSettings extends Context.Tag("clients/ClientSettings")<
  ClientSettings,
  Setting.Value<typeof clientSettings>
>() {
  static readonly config = clientSettings
}
