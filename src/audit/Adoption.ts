import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as AuditBuffer from "./AuditBuffer.ts"
import { AuditLedger, type LedgerSource } from "./AuditLedger.ts"
import type { OtherJournals } from "./AuditStatus.ts"
import { AuditStore, type Incarnation } from "./AuditStore.ts"
import * as Drain from "./Drain.ts"
import * as DrainProgress from "./DrainProgress.ts"
import { overflowOfDead } from "./JournalOverflow.ts"
import { adopt, type DeadJournal, list } from "./journal/DeadJournal.ts"
import type { JournalFiles } from "./journal/JournalFiles.ts"
import type { JournalRoom } from "./journal/JournalRoom.ts"
import type { Losses } from "./Losses.ts"
import { sourceOfAnother } from "./SourceOfAnother.ts"
import { isTailKnown } from "./Tail.ts"

export interface AdoptionOptions {
  /** Where journals are, one directory for each incarnation. */
  readonly directory: string
  readonly incarnation: Incarnation
  readonly trail: string
  readonly room: JournalRoom
  readonly files?: JournalFiles | undefined
  readonly batchSize: number
  readonly losses: Losses
  /** Waits until the event of this process with that number is in the database. */
  readonly settled: (seq: number) => Effect.Effect<void>
}

export interface Adoption {
  /** Looks for journals without a living process, now and each minute, and writes what they hold. */
  readonly run: Effect.Effect<never>
  readonly status: () => OtherJournals
}

const interval = Duration.minutes(1)

/** A heartbeat comes each minute; a source without one for so long, and without a journal here, is gone. */
const silence = Duration.hours(1)

const patience = { queueRows: 2 } as const

/** Journals of processes that are gone are written to the database, accounted for, signed off and removed. */
export const make = Effect.fnUntraced(function* (options: AdoptionOptions) {
  const { directory, incarnation, losses } = options
  const store = yield* AuditStore
  const ledger = yield* AuditLedger

  let alive = 0
  let foreign: OtherJournals["foreign"] = []
  let stuck: OtherJournals["stuck"] = []
  let adopting: (() => OtherJournals["adopting"]) | undefined
  let adopted = 0
  /** Journals of another identity, with the words of the refusal: that never changes, and each question would be recorded. */
  const left = new Map<string, string>()

  /** Writes what is pending; ends when all of it is settled. */
  const drain = Effect.fnUntraced(function* (journal: DeadJournal, known: LedgerSource | undefined) {
    const buffer = yield* AuditBuffer.make({
      capacity: options.batchSize * patience.queueRows,
      batchSize: options.batchSize,
      linger: 0,
      overflow: overflowOfDead(journal, known?.lastSeq ?? 0),
      onSettled: journal.settle
    })
    const progress = DrainProgress.make({ depth: buffer.depth, shed: () => 0 })
    const { counts, identity } = journal
    adopting = () => ({
      source: identity.source,
      counts,
      pending: buffer.depth(),
      state: progress.state(),
      readProblem: journal.status().readProblem
    })
    const worker = yield* Drain.make(buffer, progress, { batchSize: options.batchSize }).pipe(
      Effect.provideService(AuditStore, store)
    )
    const running = yield* Effect.fork(worker.run)
    yield* Effect.repeat(Effect.sleep("20 millis"), { while: () => buffer.depth() > 0 }).pipe(
      Effect.onInterrupt(() => worker.giveUp)
    )
    yield* Fiber.interrupt(running)
    return buffer.passedOver()
  })

  const unknownTail = Effect.fnUntraced(function* (
    source: string,
    after: number,
    counts: { readonly refused: number; readonly shed: number; readonly quarantined: number }
  ) {
    const seq = yield* losses.receipt({ kind: "tail", source, after })
    yield* options.settled(seq)
    yield* store.closeUnknown(source, after, counts)
    yield* Effect.logWarning(
      `The audit source ${source} ended without a word: whether it recorded events after number ${after}, nobody knows. ` +
        "A receipt says so in the trail."
    )
  })

  const settleDead = Effect.fnUntraced(function* (journal: DeadJournal) {
    const { counts, identity, survey } = journal
    const dead: Incarnation = { ...identity, durability: identity.durability }
    yield* store.register(dead)
    const known = yield* ledger.source(identity.source)
    let passedOver = 0
    if (survey.pending > 0) {
      yield* Effect.logInfo(
        `Audit journal of ${identity.source} (process ${identity.pid}, which is gone) is taken over: ${survey.pending} events.`
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
      damaged: survey.damaged,
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
        yield* unknownTail(identity.source, lastSeq, left)
      }
    }
    if (!(yield* journal.remove)) return
    adopted += 1
    yield* Effect.logInfo(`Audit journal of ${identity.source} is in the database and removed.`)
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
      Effect.catchAll((error) => {
        stuck = [...stuck, { path, reason: error.message }]
        if (error._tag === "DatabaseError" && error.sqlstate === sourceOfAnother) {
          left.set(path, error.message)
          return Effect.logInfo(`The audit journal ${path} is left to its owner: ${error.message}.`)
        }
        return Effect.logWarning(
          `The audit journal ${path} is not taken over yet: ${error.message}; it is kept, and tried again.`
        )
      })
    )

  const round = Effect.gen(function* () {
    const before = foreign
    const journals = yield* list(directory)
    alive = 0
    foreign = []
    stuck = []
    for (const { path, source } of journals) {
      const reason = left.get(path)
      if (reason !== undefined) stuck = [...stuck, { path, reason }]
      else if (source !== incarnation.source) yield* visit(path)
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

  /** Sources whose journal is nowhere to be found: on a volume that did not persist, or on another machine. */
  const closeSilent = Effect.gen(function* () {
    // Others look, too: not all at the same moment, since each would write the same receipt.
    yield* Effect.sleep(Duration.millis(yield* Random.nextIntBetween(0, 30_000)))
    const here = new Set((yield* list(directory)).map(({ source }) => source))
    for (const { lastSeq, quarantined, refused, shed, source, startedAt } of yield* ledger.silent(silence)) {
      if (here.has(source) || source === incarnation.source) continue
      const now = yield* Clock.currentTimeMillis
      yield* losses.settleAccount({
        source,
        upTo: lastSeq,
        fromTime: startedAt?.epochMillis ?? 0,
        toTime: now,
        shed: shed ?? 0,
        damaged: [],
        passedOver: 0,
        // Where it lived its journal may hold more.
        isOver: false
      })
      yield* unknownTail(source, lastSeq, { refused: refused ?? 0, shed: shed ?? 0, quarantined })
    }
  }).pipe(Effect.catchAll((error) => Effect.logDebug(`Silent audit sources were not looked for: ${error.message}`)))

  const adoption: Adoption = {
    run: Effect.all(
      [
        Effect.repeat(round, Schedule.spaced(interval)),
        Effect.repeat(Effect.zipRight(Effect.sleep(interval), closeSilent), Schedule.spaced(silence))
      ],
      { concurrency: "unbounded", discard: true }
    ).pipe(Effect.zipRight(Effect.never)),
    status: () => ({ alive, foreign, stuck, adopting: adopting?.() ?? null, adopted })
  }
  return adoption
})
