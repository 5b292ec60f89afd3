import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { LedgerSource } from "../sources/AuditLedger.ts"
import { AuditStore } from "../store/AuditStore.ts"
import type { LossAccounts } from "./Losses.ts"

interface TailCounts {
  readonly refused: number
  readonly shed: number
  readonly quarantined: number
}

export interface UnknownTailOptions {
  readonly losses: LossAccounts
  /** Waits until the event of this process with that number is in the database. */
  readonly settled: (seq: number) => Effect.Effect<void>
}

/** The word about sources that ended without one: nobody knows what they recorded after their last known number. */
export const make = ({ losses, settled }: UnknownTailOptions) =>
  Effect.map(AuditStore, (store) => {
    /** Says it in the trail first, and then closes the source. */
    const tell = Effect.fnUntraced(function* (source: string, after: number, counts: TailCounts) {
      const seq = yield* losses.receipt({ kind: "tail", source, after })
      yield* settled(seq)
      yield* store.closeUnknown(source, after, counts)
      yield* Effect.logWarning(
        `The audit source ${source} ended without a word: whether it recorded events after number ${after}, nobody knows. ` +
          "A receipt says so in the trail."
      )
    })

    /** Of a source of which nothing is left but what the database knows; `isOver`: no journal anywhere holds more of it. */
    const tellOf = Effect.fnUntraced(function* (known: LedgerSource, isOver: boolean) {
      const { lastSeq, quarantined, refused, shed, source, startedAt } = known
      yield* losses.settleAccount({
        source,
        upTo: lastSeq,
        fromTime: startedAt?.epochMillis ?? 0,
        toTime: yield* Clock.currentTimeMillis,
        shed: shed ?? 0,
        damaged: [],
        passedOver: 0,
        isOver
      })
      yield* tell(source, lastSeq, { refused: refused ?? 0, shed: shed ?? 0, quarantined })
    })

    return { tell, tellOf }
  })

export type UnknownTail = Effect.Effect.Success<ReturnType<typeof make>>
