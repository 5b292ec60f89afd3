import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { LedgerSource } from "../sources/AuditLedger.ts"
import { AuditStore, type LeftCounts } from "../store/AuditStore.ts"
import type { LossAccounts } from "./LossAccounts.ts"

/** What a dead incarnation left. */
export interface Remains {
  /** It ended in order, after a sync of its journal. */
  readonly ended: boolean
  /** The machine has not rebooted since, so everything that the process wrote to its files is there. */
  readonly sameBoot: boolean
  /** As `durabilitiesText` returns it: `journal DENIED=fsync`. */
  readonly durability: string
}

/**
 * Whether the last number found is the last that was answered. A process that died left all that it appended. A machine that
 * died left what had been synced, and only the modes `fsync` and `commit` answer no sooner.
 */
export const isTailKnown = ({ durability, ended, sameBoot }: Remains): boolean => {
  const modes = durability.split(" ").map((word) => word.slice(word.indexOf("=") + 1))
  if (modes.every((mode) => mode === "memory")) return ended
  return ended || sameBoot || modes.every((mode) => mode === "fsync" || mode === "commit")
}

/** Closes sources that ended without signing off: it is unknown what they recorded after their last known number. */
export const make = (accounts: LossAccounts) =>
  Effect.map(AuditStore, (store) => {
    /** Closes a source. The receipt must be in the trail before the source is closed. */
    const close = Effect.fnUntraced(function* (source: string, after: number, counts: LeftCounts) {
      const seq = yield* accounts.receipt({ kind: "tail", source, after })
      yield* accounts.settled(seq)
      yield* store.closeUnknown(source, after, counts)
      yield* Effect.logWarning(
        `The audit source ${source} ended without signing off: it is unknown whether it recorded events after number ${after}. ` +
          "A receipt says so in the trail."
      )
    })

    /** Accounts for a source that only the database knows, and closes it. `isOver`: no journal anywhere holds more of it. */
    const closeKnown = Effect.fnUntraced(function* (known: LedgerSource, isOver: boolean) {
      const { lastSeq, quarantined, refused, shed, source, startedAt } = known
      yield* accounts.settleAccount({
        source,
        upTo: lastSeq,
        fromTime: startedAt?.epochMillis ?? 0,
        toTime: yield* Clock.currentTimeMillis,
        shed: shed ?? 0,
        damaged: [],
        unreadable: 0,
        isOver
      })
      yield* close(source, lastSeq, { refused: refused ?? 0, shed: shed ?? 0, quarantined })
    })

    return { close, closeKnown }
  })

export type UnknownTail = Effect.Effect.Success<ReturnType<typeof make>>
