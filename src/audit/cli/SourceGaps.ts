import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { unexplained } from "../recovery/MissingRanges.ts"
import type { AuditLedger, LedgerSource } from "../sources/AuditLedger.ts"
import type { Balance } from "../sources/Conservation.ts"
import type { Gap } from "../sources/GapSearch.ts"
import type { TrailUnreachable } from "../store/TrailUnreachable.ts"
import type { JournalSight } from "./JournalSight.ts"
import { isLivingMemory, sizeOf } from "./SourceAccount.ts"

/** Numbers of a source that have no row and are no dead letter. */
export interface SourceGaps {
  /** No loss receipt names them, and no journal here has them. Ascending, at most `maximumGaps` ranges. */
  readonly unnamed: ReadonlyArray<Gap>
  /** How many of the missing numbers a loss receipt names. */
  readonly named: number
  /** How many of them wait in a journal here, or in the memory of its process. */
  readonly waiting: number
  /** How many are missing beyond what the balance tells: their rows were counted when they were written, and are gone. */
  readonly beyond: number
}

/** Sorts the missing numbers, in ascending order, by what explains them. */
export const explain = (
  gaps: ReadonlyArray<Gap>,
  known: { readonly named: ReadonlyArray<Gap>; readonly waiting: ReadonlyArray<Gap>; readonly balance: Balance }
): SourceGaps => {
  const { lost, pending, quarantined, shed, unaccounted } = known.balance
  const told = shed + quarantined + lost + pending + (known.balance.counted ? Math.max(0, unaccounted) : 0)
  const notWaiting = unexplained(gaps, known.waiting)
  const unnamed = unexplained(notWaiting, known.named)
  return {
    unnamed,
    named: sizeOf(notWaiting) - sizeOf(unnamed),
    waiting: sizeOf(gaps) - sizeOf(notWaiting),
    beyond: Math.max(0, sizeOf(gaps) - told)
  }
}

/** Looks for each number that the source is known to have given, also for those that were found once. */
export const searchGaps = (
  ledger: typeof AuditLedger.Service,
  row: LedgerSource,
  sight: JournalSight | undefined,
  balance: Balance
): Effect.Effect<SourceGaps, TrailUnreachable> =>
  Effect.gen(function* () {
    const to = balance.offered - balance.refused
    const gaps = yield* ledger.gaps(row.source, {
      from: 0,
      to,
      fromTime: row.startedAt?.epochMillis ?? 0,
      toTime: yield* Clock.currentTimeMillis
    })
    const named = gaps.length === 0 ? [] : yield* ledger.receipts(row.source)
    const inMemory = sight !== undefined && isLivingMemory(sight)
    const waiting = inMemory ? [{ from: row.lastSeq + 1, to }] : (sight?.pending ?? [])
    return explain(gaps, { named, waiting, balance })
  })
