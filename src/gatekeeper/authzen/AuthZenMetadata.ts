import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Settings } from "../../platform/config/Settings.ts"
import { Addresses } from "../../platform/http/Addresses.ts"
import { GatekeeperSettings } from "../GatekeeperSettings.ts"

/**
 * Where others reach this policy decision point: as the setting says, else where it listens. Never what a request's `Host` says:
 * whoever sends that would choose where others ask for decisions.
 */
export const pointUrl = Effect.gen(function* () {
  const { ports } = yield* Settings
  const { publicUrl } = yield* GatekeeperSettings
  const addresses = yield* Addresses
  return Option.match(publicUrl, {
    onNone: () =>
      Effect.map(addresses.all, (known) => known.get("gatekeeper")?.url ?? `http://127.0.0.1:${ports.gatekeeper}`),
    onSome: Effect.succeed
  })
})

/** AuthZEN 1.0, section 9.2. */
export const configurationResponse = (url: string) =>
  HttpServerResponse.unsafeJson({
    policy_decision_point: url,
    access_evaluation_endpoint: `${url}/access/v1/evaluation`,
    access_evaluations_endpoint: `${url}/access/v1/evaluations`
  })
