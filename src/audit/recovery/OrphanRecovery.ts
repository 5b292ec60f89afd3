import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type { OtherJournals } from "../AuditStatus.ts"
import type { DiskQuota } from "../journal/DiskQuota.ts"
import type { JournalFiles } from "../journal/JournalFiles.ts"
import { adopt, list, type OrphanedJournal } from "../journal/OrphanedJournal.ts"
import type { Problem } from "../journal/ProblemLog.ts"
import { backlogOfOrphan } from "../queue/JournalBacklog.ts"
import * as WriteQueue from "../queue/WriteQueue.ts"
import { readingFails } from "../recovery/OrphanUnreadable.ts"
import { AuditLedger, type LedgerSource } from "../sources/AuditLedger.ts"
import { AuditStore, type Incarnation } from "../store/AuditStore.ts"
import { foreignSource } from "../store/ForeignSource.ts"
import * as BatchWriter from "../writer/BatchWriter.ts"
import * as WriterProgress from "../writer/WriterProgress.ts"
import * as DeadSourceDetector from "./DeadSourceDetector.ts"
import type { LossAccounts } from "./Losses.ts"
import { isTailKnown } from "./MissingRanges.ts"
import * as UnknownTail from "./UnknownTail.ts"

export interface AdoptionOptions {
  /** Where journals are, one directory for each incarnation. */
  readonly directory: string
  readonly incarnation: Incarnation
  readonly trail: string
  readonly room: DiskQuota
  readonly files?: JournalFiles | undefined
  readonly batchSize: number
  readonly losses: LossAccounts
  /** Waits until the event of this process with that number is in the database. */
  readonly settled: (seq: number) => Effect.Effect<void>
}

export interface OrphanRecovery {
  /** Looks for journals without a living process, now and each minute, and writes what they hold. */
  readonly run: Effect.Effect<never>
  readonly status: () => OtherJournals
  /** Why one of them cannot be read now; also of one that waits to be tried again. */
  readonly readTrouble: () => Problem
}

const interval = Duration.minutes(1)

const patience = { queueRows: 2 } as const

interface Stuck {
  readonly path: string
  readonly reason: string
  /** Where it is the reading that fails. */
  readonly trouble: Problem
}

/** Journals of processes that are gone are written to the database, accounted for, signed off and removed. */
export const make = Effect.fnUntraced(function* (options: AdoptionOptions) {
  const { directory, incarnation, losses } = options
  const store = yield* AuditStore
  const ledger = yield* AuditLedger
  const tail = yield* UnknownTail.make(options)

  let alive = 0
  let foreign: OtherJournals["foreign"] = []
  let stuck: ReadonlyArray<Stuck> = []
  let adopting: (() => OtherJournals["adopting"]) | undefined
  let adopted = 0
  /** Journals of another identity, with the words of the refusal: that never changes, and each question would be recorded. */
  const left = new Map<string, string>()

  /** Writes what is pending; ends when all of it is settled. */
  const drain = Effect.fnUntraced(function* (journal: OrphanedJournal, known: LedgerSource | undefined) {
    const buffer = yield* WriteQueue.make({
      capacity: options.batchSize * patience.queueRows,
      batchSize: options.batchSize,
      linger: 0,
      overflow: backlogOfOrphan(journal, known?.lastSeq ?? 0),
      onSettled: journal.settle
    })
    const progress = WriterProgress.make({ depth: buffer.depth, shed: () => 0 })
    const { counts, identity } = journal
    adopting = () => ({
      source: identity.source,
      counts,
      pending: buffer.depth(),
      state: progress.state(),
      readProblem: journal.status().readProblem
    })
    const worker = yield* BatchWriter.make(buffer, progress, { batchSize: options.batchSize }).pipe(
      Effect.provideService(AuditStore, store)
    )
    const running = yield* Effect.fork(worker.run)
    yield* Effect.repeat(Effect.sleep("20 millis"), { while: () => buffer.depth() > 0 }).pipe(
      Effect.onInterrupt(() => worker.giveUp),
      Effect.raceFirst(readingFails(journal)),
      Effect.ensuring(Fiber.interrupt(running))
    )
    return buffer.unreadableCount()
  })

  const settleDead = Effect.fnUntraced(function* (journal: OrphanedJournal) {
    const { counts, identity, scan } = journal
    const dead: Incarnation = { ...identity, durability: identity.durability }
    yield* store.register(dead)
    const known = yield* ledger.source(identity.source)
    let passedOver = 0
    if (scan.pending > 0) {
      yield* Effect.logInfo(
        `Audit journal of ${identity.source} (process ${identity.pid}, which is gone) is taken over: ${scan.pending} events.`
      )
      passedOver = yield* drain(journal, known)
    }
    const now = yield* Clock.currentTimeMillis
    // Without a journal of its events the table may know of later ones than its last note.
    const written = (yield* ledger.source(identity.source))?.lastSeq ?? 0
    const lastSeq = Math.max(counts.lastSeq, written)
    const account = yield* losses.settleAccount({
      source: identity.source,
      upTo: lastSeq,
      fromTime: identity.startedAt,
      toTime: now,
      shed: counts.shed,
      damaged: scan.damaged,
      passedOver,
      isOver: true
    })
    const left = { refused: counts.refused, shed: counts.shed, quarantined: account.quarantined }
    const remains = {
      ended: journal.ended,
      sameBoot: identity.bootId === incarnation.bootId,
      durability: dead.durability
    }
    if (known?.signedOffSeq == null) {
      if (isTailKnown(remains)) {
        yield* store.signOff(dead, { ...left, lastSeq, unwritten: 0, inDoubt: 0 })
      } else if (known?.unsignedAfter == null) {
        yield* tail.tell(identity.source, lastSeq, left)
      }
    }
    if (!(yield* journal.remove)) return
    adopted += 1
    yield* Effect.logInfo(`Audit journal of ${identity.source} is in the database and removed.`)
  })

  const settleDamaged = Effect.fnUntraced(function* (source: string, remove: Effect.Effect<boolean>) {
    const known = yield* ledger.source(source)
    if (known !== undefined && known.signedOffSeq === null && known.unsignedAfter === null) {
      yield* tail.tellOf(known, true)
    }
    if (!(yield* remove)) return
    adopted += 1
    yield* Effect.logWarning(
      `The audit journal of ${source} held no events, and its state could not be read: it is in the quarantine, the journal is removed.`
    )
  })

  const visit = (path: string) =>
    Effect.gen(function* () {
      const outcome = yield* adopt(path, { trail: options.trail, room: options.room, files: options.files })
      switch (outcome._tag) {
        case "alive":
          alive += 1
          return
        case "foreign":
          foreign = [...foreign, { path, trail: outcome.trail }]
          return
        case "empty":
          return
        case "damaged":
          return yield* settleDamaged(outcome.source, outcome.remove)
        case "adopted":
          return yield* settleDead(outcome.journal)
      }
    }).pipe(
      Effect.scoped,
      Effect.ensuring(
        Effect.sync(() => {
          adopting = undefined
        })
      ),
      Effect.matchEffect({
        onSuccess: () =>
          Effect.sync(() => {
            stuck = stuck.filter((one) => one.path !== path)
          }),
        onFailure: (error) => {
          const trouble = error._tag === "OrphanUnreadable" ? error : null
          // Not before it was tried again: in between nothing is known to be better.
          stuck = [...stuck.filter((one) => one.path !== path), { path, reason: error.message, trouble }]
          if (error._tag === "DatabaseError" && error.sqlstate === foreignSource) {
            left.set(path, error.message)
            return Effect.logInfo(`The audit journal ${path} is left to its owner: ${error.message}.`)
          }
          return Effect.logWarning(
            `The audit journal ${path} is not taken over yet: ${error.message}; it is kept, and tried again.`
          )
        }
      })
    )

  const round = Effect.gen(function* () {
    const before = foreign
    const journals = yield* list(directory)
    alive = 0
    foreign = []
    stuck = stuck.filter((one) => journals.some(({ path }) => path === one.path))
    const wasStuck = new Set(stuck.map(({ path }) => path))
    // Those that held up the last round come last.
    const inTurn = journals.toSorted((a, b) => Number(wasStuck.has(a.path)) - Number(wasStuck.has(b.path)))
    for (const { path, source } of inTurn) {
      if (source !== incarnation.source && !left.has(path)) yield* visit(path)
    }
    for (const path of left.keys()) if (!journals.some((one) => one.path === path)) left.delete(path)
    for (const one of foreign) {
      if (before.some(({ path }) => path === one.path)) continue
      yield* Effect.logError(
        `The audit journal ${one.path} belongs to the trail ${one.trail}, not to this database's (${options.trail}): it is ` +
          "left alone. Start a gatekeeper on the database that it belongs to, with this GRAVITAS_HOME."
      )
    }
  })

  const silentSources = yield* DeadSourceDetector.watch({
    directory,
    source: incarnation.source,
    tail,
    stuck: () => stuck.map(({ path }) => path)
  })

  const adoption: OrphanRecovery = {
    run: Effect.all([Effect.repeat(round, Schedule.spaced(interval)), silentSources], {
      concurrency: "unbounded",
      discard: true
    }).pipe(Effect.zipRight(Effect.never)),
    readTrouble: () => adopting?.()?.readProblem ?? stuck.find(({ trouble }) => trouble !== null)?.trouble ?? null,
    status: () => ({
      alive,
      foreign,
      stuck: stuck.map(({ path, reason }) => ({ path, reason })),
      adopting: adopting?.() ?? null,
      adopted
    })
  }
  return adoption
})
