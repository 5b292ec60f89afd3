import * as Config from "effect/Config"
import * as Option from "effect/Option"
import * as Setting from "./Setting.ts"

export interface GatekeeperSettings {
  /** Where others reach it, for its metadata document; None: where it listens. */
  readonly publicUrl: Option.Option<string>
  /** Callers are not asked who they are. Settings grants it outside production and on a loopback host only. */
  readonly authDisabled: boolean
}

/** Also for commands that need no other setting. */
export const accessPolicyPath = Setting.text("ACCESS_POLICY_PATH", {
  expected: "a YAML file",
  example: "config/access-policy.yaml"
}).pipe(Setting.orDefault("config/access-policy.yaml"))

export const gatekeeperSettings: Config.Config<GatekeeperSettings> = Config.all({
  publicUrl: Setting.origin("GATEKEEPER_PUBLIC_URL", "https://gatekeeper.example"),
  authDisabled: Setting.choice("AUTH_DISABLED", ["true", "false"], "false").pipe(
    Config.map((given) => Option.contains(given, "true"))
  )
})

const loopback = /^(localhost|127(\.\d{1,3}){3}|::1)$/

/** Why `AUTH_DISABLED=true` is refused; undefined where it may stand. */
export const authDisabledProblem = (environment: string, host: string): string | undefined => {
  if (environment === "production") return "must not be true with NODE_ENV=production: everybody would be let in"
  return loopback.test(host)
    ? undefined
    : `must not be true with HOST=${host}: others on the network would be let in; set HOST=127.0.0.1 or unset AUTH_DISABLED`
}
