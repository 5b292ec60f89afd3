import { createHash } from "node:crypto"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** How long a decision of the kind that is asked many times a minute stands, for the token that it was made for. */
export const leaseTime = Duration.minutes(1)

/** Who was allowed, by their whole `Authorization` header, for `leaseTime`. */
export interface Leases {
  readonly holderOf: (authorization: string | undefined) => Effect.Effect<string | undefined>
  readonly give: (authorization: string | undefined, ghostId: string) => Effect.Effect<void>
}

const keyOf = (authorization: string): string => createHash("sha256").update(authorization).digest("base64")

export const make = (): Leases => {
  const leases = new Map<string, { readonly ghostId: string; readonly until: number }>()
  return {
    holderOf: (authorization) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        if (authorization === undefined) return undefined
        const lease = leases.get(keyOf(authorization))
        // Also when the clock stepped back by more than a lease.
        const left = lease === undefined ? 0 : lease.until - now
        return left > 0 && left <= Duration.toMillis(leaseTime) ? lease?.ghostId : undefined
      }),
    give: (authorization, ghostId) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        for (const [key, { until }] of leases) if (until <= now) leases.delete(key)
        if (authorization === undefined) return
        leases.set(keyOf(authorization), { ghostId, until: now + Duration.toMillis(leaseTime) })
      })
  }
}
