import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import type { Counts } from "../journal/CheckpointFile.ts"
import type { Problem } from "../journal/JournalStatus.ts"
import type { OrphanedJournal } from "../journal/OrphanedJournal.ts"
import { backlogOfOrphan } from "../queue/JournalBacklog.ts"
import * as WriteQueue from "../queue/WriteQueue.ts"
import type { LedgerSource } from "../sources/AuditLedger.ts"
import * as BatchWriter from "../writer/BatchWriter.ts"
import * as WriterProgress from "../writer/WriterProgress.ts"

/** How long a journal may stay unreadable before other journals have their turn. */
const readPatience = "30 seconds"

/** Batches of an orphaned journal in memory. */
const batchesInMemory = 2

/** The journal of a dead process could not be read for so long that other journals have their turn first. */
export class OrphanUnreadable extends Schema.TaggedError<OrphanUnreadable>()("OrphanUnreadable", {
  path: Schema.String,
  detail: Schema.String,
  /** Milliseconds since the epoch. */
  since: Schema.Number
}) {
  override get message(): string {
    return (
      `it cannot be read on since ${new Date(this.since).toISOString()}: ${this.detail}. What was read is written; fix the disk ` +
      "of GRAVITAS_HOME"
    )
  }
}

/** The journal that is being recovered. */
export interface Adoption {
  readonly source: string
  readonly pending: number
  /** The counts of its process. */
  readonly counts: Counts
  readonly readProblem: Problem
}

/** Fails when the journal cannot be read for as long as other journals may wait for it. */
const readingFails = Effect.fnUntraced(function* (journal: OrphanedJournal): Effect.fn.Return<never, OrphanUnreadable> {
  for (;;) {
    yield* Effect.sleep("1 second")
    const problem = journal.status().readProblem
    if (problem === null) continue
    yield* Effect.sleep(readPatience)
    if (journal.status().readProblem?.since === problem.since) {
      return yield* new OrphanUnreadable({ path: journal.path, ...problem })
    }
  }
})

/** Writes the pending events of an orphaned journal to the database. Returns how many could not be read. */
export const write = Effect.fnUntraced(function* (
  journal: OrphanedJournal,
  known: LedgerSource | undefined,
  options: {
    readonly batchSize: number
    /** Receives the status of the work, for as long as it lasts. */
    readonly onStatus: (status: () => Adoption) => void
  }
) {
  const { batchSize } = options
  const queue = yield* WriteQueue.make({
    capacity: batchSize * batchesInMemory,
    batchSize,
    linger: 0,
    backlog: backlogOfOrphan(journal, known?.lastSeq ?? 0),
    onSettled: journal.settle
  })
  const progress = WriterProgress.make({ depth: queue.depth, shed: () => 0 })
  const { counts, identity } = journal
  options.onStatus(() => ({
    source: identity.source,
    counts,
    pending: queue.depth(),
    readProblem: journal.status().readProblem
  }))
  const writer = yield* BatchWriter.make(queue, progress, { batchSize })
  const running = yield* Effect.fork(writer.run)
  yield* queue.awaitEmpty.pipe(
    Effect.onInterrupt(() => writer.giveUp),
    Effect.raceFirst(readingFails(journal)),
    Effect.ensuring(Fiber.interrupt(running))
  )
  return queue.unreadableCount()
})
