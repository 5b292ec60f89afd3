import * as Fs from "node:fs/promises"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { list } from "../journal/OrphanedJournal.ts"
import { indexOf } from "../journal/Segments.ts"
import { AuditLedger, type LedgerSource } from "../sources/AuditLedger.ts"
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
    /** Numbers of receipts by their source. When closing a source fails, the next try has its receipt already. */
    const receipts = new Map<string, number>()
    /** Closes a source. The receipt must be in the trail before the source is closed. */
    const close = Effect.fnUntraced(function* (source: string, after: number, counts: LeftCounts) {
      const key = `${source} ${after}`
      const seq = receipts.get(key) ?? (yield* accounts.receipt({ kind: "tail", source, after }))
      receipts.set(key, seq)
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

export interface DeadSourceOptions {
  /** Where journals are, one directory for each incarnation. */
  readonly directory: string
  readonly source: string
  readonly tail: UnknownTail
  /** Paths of the journals of dead processes that could not be recovered so far. */
  readonly stuck: () => ReadonlyArray<string>
}

/** A process sends a heartbeat each minute. A source without one for so long, and without a journal here, is dead. */
const silence = Duration.hours(1)

/** Before the first look, so that journals in this directory are found first. */
const firstLook = Duration.minutes(1)

/** Whether the directory holds segments; true where it cannot be read. */
const hasSegments = (path: string): Effect.Effect<boolean> =>
  Effect.promise(() =>
    Fs.readdir(path).then(
      (names) => names.some((name) => indexOf(name) !== undefined),
      () => true
    )
  )

/**
 * Closes dead sources whose journal cannot be found: it was on a volume that did not persist, or on another machine. A
 * journal directory without segments that cannot be recovered counts as not found.
 */
export const watchDeadSources = Effect.fnUntraced(function* (options: DeadSourceOptions) {
  const ledger = yield* AuditLedger

  const recoverable = Effect.map(list(options.directory), (journals) =>
    Effect.filter(journals, ({ path }) => (options.stuck().includes(path) ? hasSegments(path) : Effect.succeed(true)))
  ).pipe(
    Effect.flatten,
    Effect.map((journals) => new Set(journals.map(({ source }) => source)))
  )

  const look = Effect.gen(function* () {
    // Other processes look too. The random delay keeps them from writing the same receipt at the same time.
    yield* Effect.sleep(Duration.millis(yield* Random.nextIntBetween(0, 30_000)))
    const here = yield* recoverable
    for (const known of yield* ledger.silent(silence)) {
      if (here.has(known.source) || known.source === options.source) continue
      // Its journal may exist on the machine where it ran.
      yield* options.tail.closeKnown(known, false)
    }
  }).pipe(Effect.catchAll((error) => Effect.logDebug(`Dead audit sources were not looked for: ${error.message}`)))

  return Effect.repeat(Effect.zipRight(Effect.sleep(firstLook), look), Schedule.spaced(silence))
})
