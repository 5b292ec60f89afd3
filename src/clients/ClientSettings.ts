import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Setting from "../platform/config/Setting.ts"

/** How long a session may be silent before the guardian ends it as expired. The guardian and its clients must agree on it. */
export const sessionTimeout = Setting.duration(
  "GUARDIAN_SESSION_TIMEOUT",
  { min: "1 second", max: "30 days" },
  "15m"
).pipe(Setting.orDefault(Duration.minutes(15)))

const clientSettings = Setting.all({
  /** Where services that run elsewhere are; None: in this process, or on this machine at the default port. */
  peerUrls: Setting.all({
    gatekeeper: Setting.origin("GATEKEEPER_URL", "http://127.0.0.1:8001"),
    guardian: Setting.origin("GUARDIAN_URL", "http://127.0.0.1:8003")
  }),
  /** The CA of peers over https, in PEM; None: those that Node knows. */
  peerCaFile: Setting.text("PEER_CA_FILE", { expected: "a file in PEM", example: "/etc/gravitas/ca.crt" }),
  /** How long a peer may take to answer; then the caller is refused. */
  peerTimeout: Setting.duration("PEER_TIMEOUT", { min: "10 millis", max: "1 minute" }, "2s").pipe(
    Setting.orDefault(Duration.seconds(2))
  ),
  sessionTimeout
})

export class ClientSettings extends Context.Tag("clients/ClientSettings")<
  ClientSettings,
  Setting.Value<typeof clientSettings>
>() {
  static readonly config = clientSettings
}
