import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { inOwnFiber } from "../../platform/os/OwnFiber.ts"
import type { JournalFiles } from "../journal/JournalFiles.ts"
import type { Problem } from "../journal/JournalStatus.ts"
import { adopt, list, type OrphanedJournal } from "../journal/OrphanedJournal.ts"
import type { DiskQuota } from "../journal/Segments.ts"
import type { Recorder } from "../queue/Recorder.ts"
import { AuditLedger, type LedgerSource } from "../sources/AuditLedger.ts"
import { AuditStore, foreignSource, type Incarnation } from "../store/AuditStore.ts"
import type { LossAccounts } from "./LossAccounts.ts"
import * as OlderJournals from "./OlderJournals.ts"
import { JournalUnregistered } from "./OlderJournals.ts"
import * as OrphanWriter from "./OrphanWriter.ts"
import * as UnknownTail from "./UnknownTail.ts"
import { watchDeadSources } from "./UnknownTail.ts"

export interface OrphanRecoveryOptions {
  /** Where journals are, one directory for each incarnation. */
  readonly directory: string
  readonly incarnation: Incarnation
  readonly trail: string
  readonly quota: DiskQuota
  readonly files?: JournalFiles | undefined
  readonly batchSize: number
  readonly accounts: LossAccounts
  readonly recorder: Recorder
}

const interval = Duration.minutes(1)

interface Stuck {
  readonly path: string
  readonly reason: string
  /** Null where the journal can be read. */
  readonly problem: Problem
}

/** What recovery works with, and what the last round found. */
interface Parts {
  readonly options: OrphanRecoveryOptions
  readonly store: typeof AuditStore.Service
  readonly ledger: typeof AuditLedger.Service
  readonly recorder: Recorder
  readonly tail: UnknownTail.UnknownTail
  /** Journals of living processes. */
  alive: number
  /** Journals of another trail: never read, never removed. */
  foreign: ReadonlyArray<{ readonly path: string; readonly trail: string }>
  /** Journals that could not be recovered so far. */
  stuck: ReadonlyArray<Stuck>
  /** Reads the state of the journal that is being recovered now. */
  adopting: (() => OrphanWriter.Adoption) | undefined
  /** Journals recovered and removed since the start of this process. */
  adopted: number
  /** Sources of journals that older programs left. */
  older: ReadonlyArray<string>
  /** Events about journals that were recorded, by kind and source: a later step may fail, and the next round must not repeat them. */
  readonly recorded: Set<string>
  /** Journals that recovery skips: another identity owns the source, and each try would add an event to the trail. */
  readonly skipped: Map<string, string>
}

const writePending = Effect.fnUntraced(function* (
  parts: Parts,
  journal: OrphanedJournal,
  known: LedgerSource | undefined
) {
  const { identity, scan } = journal
  if (scan.pending === 0) return 0
  yield* Effect.logInfo(
    `Audit journal of ${identity.source} (process ${identity.pid}, which has ended) is being recovered: ${scan.pending} events.`
  )
  return yield* OrphanWriter.write(journal, known, {
    batchSize: parts.options.batchSize,
    onStatus: (status) => {
      parts.adopting = status
    }
  }).pipe(Effect.provideService(AuditStore, parts.store))
})

/**
 * Fails unless the journal's source registered before its first event, or an older program left the journal. Its checksums are no
 * secret, so any process that may write into the directory could have made the journal.
 */
const checkRegistered = Effect.fnUntraced(function* (
  { older, options, recorded, recorder }: Parts,
  { identity, path, scan }: OrphanedJournal,
  known: LedgerSource | undefined
) {
  const { source } = identity
  const refuse = (reason: string) =>
    new JournalUnregistered({ path, reason, file: OlderJournals.fileOf(options.directory) })
  if (known !== undefined) {
    return known.signedOffSeq !== null && scan.lastSeq > known.signedOffSeq
      ? yield* refuse(`it holds events after number ${known.signedOffSeq}, at which its source signed off`)
      : undefined
  }
  // Without events its process was killed before it registered.
  if (scan.frames === 0) return
  if (!older.includes(source))
    return yield* refuse(`it holds ${scan.frames} events of a source that no process registered`)
  const key = `adoption ${source}`
  if (recorded.has(key)) return
  if (recorder.recordOwn(OlderJournals.adoptionOf(source, scan.frames)) === undefined) {
    return yield* refuse("the trail cannot record its adoption now, and tries again")
  }
  recorded.add(key)
})

/** Writes, accounts for, signs off and removes an orphaned journal. */
const recover = Effect.fnUntraced(function* (parts: Parts, journal: OrphanedJournal) {
  const { ledger, options, store, tail } = parts
  const { counts, identity, scan } = journal
  yield* checkRegistered(parts, journal, yield* ledger.source(identity.source))
  yield* store.register(identity)
  const known = yield* ledger.source(identity.source)
  const unreadable = yield* writePending(parts, journal, known)
  const now = yield* Clock.currentTimeMillis
  // With durability `memory` the journal has no events, so the table may hold later numbers than the checkpoint counts.
  const written = (yield* ledger.source(identity.source))?.lastSeq ?? 0
  const lastSeq = Math.max(counts.lastSeq, written)
  const account = yield* options.accounts.settleAccount({
    source: identity.source,
    upTo: lastSeq,
    fromTime: identity.startedAt,
    toTime: now,
    shed: counts.shed,
    damaged: scan.damaged,
    unreadable,
    isOver: true
  })
  const finalCounts = { refused: counts.refused, shed: counts.shed, quarantined: account.quarantined }
  const remains = {
    ended: journal.ended,
    sameBoot: identity.bootId === options.incarnation.bootId,
    durability: identity.durability
  }
  // Recovery signs off only if no event can be missing at the end; a reboot may have lost what was not synced.
  if (known?.signedOffSeq == null) {
    const key = `limits ${identity.source}`
    if (counts.limiting === true && !parts.recorded.has(key)) {
      yield* options.accounts.recordLimitsCutOff(identity.source)
      parts.recorded.add(key)
    }
    if (UnknownTail.isTailKnown(remains)) {
      yield* store.signOff(identity, { ...finalCounts, lastSeq, unwritten: 0, inDoubt: 0 })
    } else if (known?.unsignedAfter == null) {
      yield* tail.close(identity.source, lastSeq, finalCounts)
    }
  }
  // Where the disk keeps a file, `remove` logs it, and the next round tries again.
  if (!(yield* journal.remove)) return
  parts.adopted += 1
  yield* Effect.logInfo(`Audit journal of ${identity.source} is in the database and removed.`)
})

/** Handles a journal that has no events and an unreadable checkpoint: closes its source and removes the journal. */
const removeDamaged = Effect.fnUntraced(function* (parts: Parts, source: string, remove: Effect.Effect<boolean>) {
  const known = yield* parts.ledger.source(source)
  if (known !== undefined && known.signedOffSeq === null && known.unsignedAfter === null) {
    // The source is over, because no journal holds more of its events.
    yield* parts.tail.closeKnown(known, true)
  }
  if (!(yield* remove)) return
  parts.adopted += 1
  yield* Effect.logWarning(
    `The audit journal of ${source} held no events, and its checkpoint could not be read: the checkpoint is in the quarantine, ` +
      "the journal is removed."
  )
})

const recoverAt = Effect.fnUntraced(function* (parts: Parts, path: string) {
  const { files, quota, trail } = parts.options
  const outcome = yield* adopt(path, { trail, quota, files })
  switch (outcome._tag) {
    case "alive":
      parts.alive += 1
      return
    case "foreign":
      parts.foreign = [...parts.foreign, { path, trail: outcome.trail }]
      return
    // `adopt` has removed it. It never held an event, so it is not counted.
    case "empty":
      return
    case "damaged":
      return yield* removeDamaged(parts, outcome.source, outcome.remove)
    case "adopted":
      return yield* recover(parts, outcome.journal)
  }
})

const without = (stuck: ReadonlyArray<Stuck>, path: string) => stuck.filter((one) => one.path !== path)

/** Recovers one journal; a failure is logged and remembered until the next attempt. */
const visit = (parts: Parts, path: string) =>
  recoverAt(parts, path).pipe(
    Effect.scoped,
    inOwnFiber,
    Effect.ensuring(
      Effect.sync(() => {
        parts.adopting = undefined
      })
    ),
    Effect.matchEffect({
      onSuccess: () =>
        Effect.sync(() => {
          parts.stuck = without(parts.stuck, path)
        }),
      onFailure: (error) => {
        const problem = error._tag === "OrphanUnreadable" ? error : null
        const isKnown = parts.stuck.some((one) => one.path === path && one.reason === error.message)
        // The entry stays until the next attempt, because nothing shows that the problem is over.
        parts.stuck = [...without(parts.stuck, path), { path, reason: error.message, problem }]
        if (error._tag === "DatabaseError" && error.sqlstate === foreignSource) {
          parts.skipped.set(path, error.message)
          return Effect.logInfo(`The audit journal ${path} is left to its owner: ${error.message}.`)
        }
        if (error._tag === "JournalUnregistered") {
          return isKnown
            ? Effect.void
            : Effect.logError(`ALARM: the audit journal ${path} is not adopted: ${error.message}.`)
        }
        return Effect.logWarning(
          `The audit journal ${path} is not recovered yet: ${error.message}; it is kept, and tried again.`
        )
      }
    })
  )

const round = Effect.fnUntraced(function* (parts: Parts) {
  const { options, skipped } = parts
  const before = parts.foreign
  parts.older = yield* OlderJournals.read(options.directory)
  const journals = yield* list(options.directory)
  parts.alive = 0
  parts.foreign = []
  parts.stuck = parts.stuck.filter((one) => journals.some(({ path }) => path === one.path))
  const wasStuck = new Set(parts.stuck.map(({ path }) => path))
  // Journals that failed in the last round come last.
  const inTurn = journals.toSorted((a, b) => Number(wasStuck.has(a.path)) - Number(wasStuck.has(b.path)))
  for (const { path, source } of inTurn) {
    if (source !== options.incarnation.source && !skipped.has(path)) yield* visit(parts, path)
  }
  for (const path of skipped.keys()) if (!journals.some((one) => one.path === path)) skipped.delete(path)
  for (const one of parts.foreign) {
    if (before.some(({ path }) => path === one.path)) continue
    yield* Effect.logError(
      `The audit journal ${one.path} belongs to the trail ${one.trail}, not to this database's trail (${options.trail}), so it ` +
        "is not touched. Start a gatekeeper on the database of that trail, with this GRAVITAS_HOME."
    )
  }
})

/** Recovers the journals of dead processes: writes their events to the database, accounts for them and removes the journals. */
export const make = Effect.fnUntraced(function* (options: OrphanRecoveryOptions) {
  const parts: Parts = {
    options,
    store: yield* AuditStore,
    ledger: yield* AuditLedger,
    recorder: options.recorder,
    tail: yield* UnknownTail.make(options.accounts),
    alive: 0,
    foreign: [],
    stuck: [],
    adopting: undefined,
    adopted: 0,
    // Before this process appends to a journal of its own.
    older: yield* OlderJournals.read(options.directory),
    recorded: new Set(),
    skipped: new Map()
  }
  const deadSources = yield* watchDeadSources({
    directory: options.directory,
    source: options.incarnation.source,
    tail: parts.tail,
    stuck: () => parts.stuck.map(({ path }) => path)
  })
  return {
    /** Looks for orphaned journals, now and each minute, and for dead sources each hour. Never ends, as its type says. */
    run: Effect.all([Effect.repeat(round(parts), Schedule.spaced(interval)), deadSources], {
      concurrency: "unbounded",
      discard: true
    }).pipe(Effect.zipRight(Effect.never)),
    /** Why a journal cannot be read now; also for a journal that waits for the next attempt. */
    readProblem: (): Problem =>
      parts.adopting?.()?.readProblem ?? parts.stuck.find(({ problem }) => problem !== null)?.problem ?? null,
    status: () => ({
      alive: parts.alive,
      adopted: parts.adopted,
      foreign: parts.foreign,
      stuck: parts.stuck.map(({ path, reason }) => ({ path, reason })),
      adopting: parts.adopting?.()
    })
  }
})

export type OrphanRecovery = Effect.Effect.Success<ReturnType<typeof make>>
