import * as Context from "effect/Context"
import * as Either from "effect/Either"
import { isLoopback } from "../platform/config/Loopback.ts"
import * as Setting from "../platform/config/Setting.ts"
import { authDisabled, environment, host } from "../platform/config/Settings.ts"

/** As given: relative to the working directory. Also for commands that need no other setting. */
export const accessPolicyPath = Setting.text("ACCESS_POLICY_PATH", {
  expected: "a YAML file",
  example: "config/access-policy.yaml"
}).pipe(Setting.orDefault("config/access-policy.yaml"))

/** Why `AUTH_DISABLED=true` is refused; undefined where it is allowed. */
const authDisabledProblem = (environment: string, host: string): string | undefined => {
  if (environment === "production") return "must not be true with NODE_ENV=production: every caller would be let in"
  return isLoopback(host)
    ? undefined
    : `must not be true with HOST=${host}: others on the network would be let in; set HOST=127.0.0.1 or unset AUTH_DISABLED`
}

const gatekeeperSettings = Setting.all({
  environment,
  host,
  accessPolicyPath,
  /** Where others reach it, for its metadata document; None: where it listens. */
  publicUrl: Setting.origin("GATEKEEPER_PUBLIC_URL", "https://gatekeeper.example"),
  /** Callers are not authenticated. Allowed outside production and on a loopback host only. */
  authDisabled
}).pipe(
  Setting.mapOrFail(({ environment, host, ...values }) => {
    const problem = values.authDisabled ? authDisabledProblem(environment, host) : undefined
    return problem === undefined ? Either.right(values) : Setting.refused("AUTH_DISABLED", problem)
  })
)

/** The gatekeeper's own settings; those of tokens are in tokens/TokenSettings. */
export class GatekeeperSettings extends Context.Tag("gatekeeper/GatekeeperSettings")<
  GatekeeperSettings,
  Setting.Value<typeof gatekeeperSettings>
>() {
  static readonly config = gatekeeperSettings
}
