import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import { AuditLog } from "../audit/AuditLog.ts"
import { auditView } from "../audit/PipelineStatus.ts"
import type { IssuerKeys } from "../contracts/Health.ts"
import { schemaProbe } from "../migrator/SchemaVersion.ts"
import type { HealthReport } from "../platform/http/Health.ts"
import { gatekeeperSchema } from "./GatekeeperSchema.ts"
import { GatekeeperSettings } from "./GatekeeperSettings.ts"
import { PolicyInForce } from "./policy/PolicyInForce.ts"
import { anonymousGhost } from "./tokens/BearerToken.ts"
import type { RemoteKeysStatus } from "./tokens/RemoteKeys.ts"
import { Tokens } from "./tokens/Tokens.ts"

const authDisabledWarning =
  `AUTH_DISABLED=true: no caller is authenticated; every request is the ghost "${anonymousGhost}", may do what the policy ` +
  "allows that ghost, and is marked auth:disabled in the trail. Use it for development on this machine only"

const isoOf = (millis: number): string => DateTime.formatIso(DateTime.unsafeMake(millis))

const issuerKeysOf = ({ failures, fetchedAt, problem }: RemoteKeysStatus): IssuerKeys => ({
  fetched_at: fetchedAt === undefined ? null : isoOf(fetchedAt),
  failures,
  problem: problem ?? null
})

const policyState = Effect.flatMap(PolicyInForce, ({ current, refused }) =>
  Effect.map(Effect.all([current, refused]), ([{ policy }, last]) => ({
    version: policy.version,
    refused: last === null ? null : { at: DateTime.formatIso(last.at), problems: last.problems.length }
  }))
)

/** What `/readyz` and `/health` of the gatekeeper tell. */
export const gatekeeperReport = Effect.gen(function* () {
  const { authDisabled } = yield* GatekeeperSettings
  const trail = yield* AuditLog
  const { issuerKeys } = yield* Tokens
  const policies = yield* PolicyInForce
  if (authDisabled) yield* Effect.logWarning(`DANGER: ${authDisabledWarning}`)
  const state = yield* schemaProbe(yield* gatekeeperSchema.version)
  const policy = Effect.provideService(policyState, PolicyInForce, policies)
  return Effect.map(Effect.all([state, trail.status, policy]), ([now, audit, policy]): HealthReport => {
    const keys = issuerKeys()
    return {
      ...now,
      // The gatekeeper decides without its database while the trail accepts events, so a balancer keeps sending requests.
      canAnswer: audit.accepting,
      ...(authDisabled ? { warnings: [authDisabledWarning] } : {}),
      audit: auditView(audit),
      policy,
      ...(keys === undefined ? {} : { issuerKeys: issuerKeysOf(keys) })
    }
  })
})

const policyRefused = Metric.gauge("gatekeeper_policy_refused", {
  description: "1 while the policy file has problems and an earlier version of it decides"
})
const keysAge = Metric.gauge("gatekeeper_issuer_keys_age_seconds", {
  description: "Time since the issuer's keys were fetched; -1 before the first success"
})
const keyFetchFailures = Metric.gauge("gatekeeper_issuer_key_fetch_failures", {
  description: "Fetches of the issuer's keys that failed since the start"
})

/** Updates the gatekeeper's own metrics each second. Those of the keys exist only with `JWKS_URL`. */
export const gatekeeperMetrics = Layer.scopedDiscard(
  Effect.gen(function* () {
    const { issuerKeys } = yield* Tokens
    const { refused } = yield* PolicyInForce
    const publish = Effect.gen(function* () {
      yield* Metric.set(policyRefused, (yield* refused) === null ? 0 : 1)
      const keys = issuerKeys()
      if (keys === undefined) return
      const now = yield* Clock.currentTimeMillis
      yield* Metric.set(keysAge, keys.fetchedAt === undefined ? -1 : (now - keys.fetchedAt) / 1_000)
      yield* Metric.set(keyFetchFailures, keys.failures)
    })
    yield* Effect.forkScoped(Effect.repeat(publish, Schedule.spaced("1 second")))
  })
)
