import type { AuditEvent } from "../../domain/AuditEvent.ts"
import { isoTime } from "../encoding/AuditRow.ts"
import { limitAction, sourceResource } from "../encoding/TrailEvents.ts"

/**
 * Why a failure has no row of its own.
 *
 * - `address`: its network sent too many.
 * - `total`: all networks together sent too many.
 * - `share`: queue or journal is half full, and the other half is for authenticated callers.
 */
export type LimitReason = "address" | "total" | "share"

/** Networks that are counted by name between two summaries, and that a summary names: those with the highest counts. */
const countedNetworks = 1_000
const namedNetworks = 32

/** The failures without a row of their own since the last summary. */
export const makeLimitedFailures = () => {
  let count = 0
  let from = 0
  let byReason: Partial<Record<LimitReason, number>> = {}
  let byNetwork = new Map<string, number>()
  return {
    count: () => count,
    byReason: () => byReason,
    add: (reason: LimitReason, network: string, now: number) => {
      if (count === 0) from = now
      count += 1
      byReason[reason] = (byReason[reason] ?? 0) + 1
      const known = byNetwork.get(network)
      if (known !== undefined || byNetwork.size < countedNetworks) byNetwork.set(network, (known ?? 0) + 1)
    },
    /** Makes the event that reports the counts; they are complete up to `now`. */
    summary: (source: string, now: number): AuditEvent => {
      const named = [...byNetwork].toSorted(([, one], [, other]) => other - one).slice(0, namedNetworks)
      return {
        action: limitAction,
        resource: sourceResource(source),
        ghostId: null,
        shellId: null,
        result: "LIMITED",
        reason: `${count} failures of callers without a valid identity were answered 429 and have no row of their own`,
        requestId: null,
        facts: {
          count,
          counted_from: isoTime(from),
          counted_until: isoTime(now),
          by_reason: byReason,
          by_network: Object.fromEntries(named),
          other_networks: count - named.reduce((sum, [, failures]) => sum + failures, 0)
        }
      }
    },
    clear: () => {
      count = 0
      byReason = {}
      byNetwork = new Map()
    }
  }
}
