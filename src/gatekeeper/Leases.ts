import { createHash } from "node:crypto"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Stops } from "../clients/Stops.ts"
import { tokenStop } from "../domain/Stops.ts"
import { AccessControl, type AccessQuestion, type Outcome } from "./AccessControl.ts"
import { TokenSettings } from "./tokens/TokenSettings.ts"
import type { VerifiedToken } from "./tokens/VerifiedTokens.ts"

/** How long a decision about a service is valid, for the token that it was made for. */
export const leaseTime = Duration.minutes(1)

interface Lease {
  readonly token: VerifiedToken
  readonly policyVersion: string
  /** Milliseconds since the epoch; not after the token's end. */
  readonly until: number
}

const keyOf = (authorization: string): string => createHash("sha256").update(authorization).digest("base64")

/**
 * Decisions about services that ask many times a minute, by the whole `Authorization` header: each is made and recorded once a minute. A
 * lease ends with its token, with a stop, and with the policy that gave it.
 */
export const makeLeases = Effect.map(Effect.all([AccessControl, Stops, TokenSettings]), ([access, stops, jwt]) => {
  const leases = new Map<string, Lease>()
  const tolerance = Duration.toMillis(jwt.clockTolerance)

  const isStopped = (token: VerifiedToken): boolean =>
    tokenStop(stops.list(), token.ghostId, token, tolerance) !== undefined

  const isValid = ({ policyVersion, token, until }: Lease, now: number): boolean =>
    // More than a lease is left where the clock stepped back: the lease is not valid then.
    until > now &&
    until - now <= Duration.toMillis(leaseTime) &&
    policyVersion === (stops.policyVersion() ?? policyVersion) &&
    !isStopped(token)

  /** Returns the lease of an allowed caller, else the outcome of the question. */
  const lease = Effect.fnUntraced(function* (question: AccessQuestion) {
    const now = yield* Clock.currentTimeMillis
    const key = keyOf(question.authorization ?? "")
    const present = leases.get(key)
    if (present !== undefined && isValid(present, now)) return { _tag: "Leased", token: present.token } as const
    const outcome: Exclude<Outcome, { readonly _tag: "Authenticated" }> = yield* access.ask(question)
    if (outcome._tag !== "Allowed" || outcome.token === undefined) return outcome
    const { policyVersion, token } = outcome
    for (const [other, { until }] of leases) if (until <= now) leases.delete(other)
    leases.set(key, { token, policyVersion, until: Math.min(now + Duration.toMillis(leaseTime), token.until) })
    return { _tag: "Leased", token } as const
  })

  /** Whether an answer that a lease allowed may go on. The caller does not ask when its token ends, so that leaves no row. */
  const mayGoOn = (question: AccessQuestion, token: VerifiedToken) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      now >= token.until || isStopped(token)
        ? Effect.succeed(false)
        : Effect.map(lease(question), ({ _tag }) => _tag === "Leased")
    )

  return { lease, mayGoOn, isStopped }
})
