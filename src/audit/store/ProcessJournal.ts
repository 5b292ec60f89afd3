import * as Crypto from "node:crypto"
import * as Os from "node:os"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { durabilitiesText, isJournaled } from "../../domain/Durability.ts"
import { bootId } from "../../platform/os/BootId.ts"
import { inOwnFiber } from "../../platform/os/OwnFiber.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { AuditLogOptions, JournalSettings } from "../AuditSettings.ts"
import * as Journal from "../journal/Journal.ts"
import { adopt, list } from "../journal/OrphanedJournal.ts"
import { type DiskQuota, makeDiskQuota } from "../journal/Segments.ts"
import { AuditStore, type Incarnation } from "./AuditStore.ts"
import { retryClass } from "./RetryClass.ts"
import { checkPlace } from "./TrailPlace.ts"

/** The identity of this process, and what it keeps on disk. */
export interface ProcessJournal {
  readonly incarnation: Incarnation
  /** The id of the trail that the events belong to, a uuid; null where nothing is kept on disk. */
  readonly trail: string | null
  /** Shared with the journals of dead processes that this one recovers. */
  readonly quota: DiskQuota
  /** Keeps counts, and events unless all of them are kept in memory; undefined where nothing is kept on disk. */
  readonly journal: Journal.Journal | undefined
  /** `journal`, if events are appended to it before they are answered. */
  readonly eventJournal: Journal.Journal | undefined
}

export const ProcessJournal = Context.GenericTag<ProcessJournal>("audit/store/ProcessJournal")

/** The database was there a moment ago, when its schema was inspected, so a short absence is waited for. */
const patience = Schedule.spaced("200 millis").pipe(Schedule.upTo("10 seconds"))

const fromDatabase = <A>(question: Effect.Effect<A, DatabaseError>) =>
  Effect.retry(question, { schedule: patience, while: (error) => retryClass(error) === "transient" })

/** Makes the incarnation of this process, or of one task of it. */
export const makeIncarnation = (durability: string) =>
  Effect.gen(function* () {
    const incarnation: Incarnation = {
      source: Crypto.randomUUID(),
      host: Os.hostname(),
      pid: process.pid,
      startedAt: yield* Clock.currentTimeMillis,
      bootId: yield* bootId,
      durability
    }
    return incarnation
  })

/** Removes what is settled from the journals of dead processes. On a full disk a new journal has no other space. */
const reclaimOrphans = Effect.fnUntraced(function* (settings: JournalSettings, trail: string, quota: DiskQuota) {
  for (const { path } of yield* list(settings.directory)) {
    yield* adopt(path, { trail, quota, files: settings.files }).pipe(
      Effect.tap((outcome) => (outcome._tag === "adopted" ? Effect.sync(outcome.journal.reclaim) : Effect.void)),
      Effect.scoped,
      inOwnFiber,
      Effect.ignore
    )
  }
})

const make = Effect.fnUntraced(function* (options: AuditLogOptions) {
  const store = yield* AuditStore
  const mode = durabilitiesText(options.durability)
  const incarnation = yield* makeIncarnation(mode)
  const settings = options.journal
  const quota = makeDiskQuota(settings?.maxBytes ?? 0)
  if (settings === null) {
    if (isJournaled(options.durability)) {
      return yield* Effect.dieMessage(`the durability ${mode} needs a journal, and no journal directory is set`)
    }
    return { incarnation, trail: null, quota, journal: undefined, eventJournal: undefined }
  }
  // A journal names its trail, so that it is never written into another database.
  const trail = yield* fromDatabase(store.trail)
  if (store.place !== undefined) yield* checkPlace(settings.directory, trail, yield* fromDatabase(store.place))
  const open = Journal.open({
    directory: settings.directory,
    identity: { ...incarnation, trail },
    quota,
    flushInterval: settings.flushInterval,
    files: settings.files
  })
  const journal = yield* Effect.catchTag(open, "JournalUnusable", () =>
    Effect.zipRight(reclaimOrphans(settings, trail, quota), open)
  )
  // Before the first event: recovery adopts only journals whose source is registered.
  yield* fromDatabase(store.register(incarnation))
  return { incarnation, trail, quota, journal, eventJournal: isJournaled(options.durability) ? journal : undefined }
})

/** Opens the journal of this process, for the trail that the store holds. */
export const layer = (
  options: AuditLogOptions
): Layer.Layer<ProcessJournal, Journal.JournalUnusable | Journal.JournalInUse | DatabaseError, AuditStore> =>
  Layer.scoped(ProcessJournal, make(options))
