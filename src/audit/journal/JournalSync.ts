import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { UnsyncedFrames } from "./Frame.ts"
import { type JournalFiles, reasonOf } from "./JournalFiles.ts"
import { type JournalProblem, type Problem, watchProblem } from "./JournalStatus.ts"
import { isCut, type OpenSegment } from "./OpenSegment.ts"
import type { SegmentWriter } from "./SegmentWriter.ts"

export interface JournalSyncOptions {
  readonly path: string
  readonly files: JournalFiles
  readonly writer: SegmentWriter
  readonly unsynced: UnsyncedFrames
}

interface State extends JournalSyncOptions {
  entriesDue: boolean
  distrusted: boolean
}

const isBehind = (one: OpenSegment) => !one.segment.dropped && one.synced < one.segment.length

const syncEntries = async (state: State): Promise<void> => {
  state.entriesDue = state.writer.takeNewEntries() || state.entriesDue
  if (!state.entriesDue) return
  state.entriesDue = false
  try {
    await state.files.syncDirectory(state.path)
  } catch (cause) {
    state.entriesDue = true
    throw cause
  }
}

const syncData = async (state: State, one: OpenSegment): Promise<void> => {
  const { length, lastSeq } = one.segment
  one.syncing = true
  try {
    await state.files.fdatasync(one.fd)
  } catch (cause) {
    state.distrusted = true
    throw cause
  } finally {
    one.syncing = false
  }
  // Its frames stay in memory until the upkeep has left the file.
  if (isCut(state.files, one)) throw new Error(`another program cut ${one.segment.path}`)
  one.synced = length
  one.syncedSeq = lastSeq
}

const attempt = async (state: State): Promise<void> => {
  const { unsynced, writer } = state
  const target = unsynced.written()
  const behind = writer.opened().filter(isBehind)
  try {
    for (const one of behind) if (!one.segment.dropped) await syncData(state, one)
    await syncEntries(state)
  } finally {
    writer.closeDone()
  }
  unsynced.release(target)
}

/** Rewrites all unsynced frames at once, also those appended since the failure: numbers must rise from file to file. */
const rewrite = (state: State): JournalProblem | undefined => {
  if (!state.distrusted) return undefined
  // Settled frames need no new place: the disk may have none.
  state.writer.reclaim()
  const behind = state.writer.opened().filter(isBehind)
  const problem = behind.length === 0 ? undefined : state.writer.rewrite(behind)
  state.distrusted = problem !== undefined
  return problem
}

/**
 * Syncs, and after a failure rewrites and syncs once more. After a failed fdatasync the system may have dropped what it could
 * not write, and report success for the next one. So the same file is never trusted again.
 */
const sync = async (state: State): Promise<JournalProblem | undefined> => {
  const before = rewrite(state)
  if (before !== undefined) return before
  try {
    await attempt(state)
    return undefined
  } catch {
    const problem = rewrite(state)
    if (problem !== undefined) return problem
  }
  try {
    await attempt(state)
    return undefined
  } catch (cause) {
    return { reason: "failing", detail: `${reasonOf(cause)} (${state.path})` }
  }
}

/** Syncs the segments of a journal to the disk, and writes frames again after a failed sync. */
export const make = (options: JournalSyncOptions) => {
  const state: State = { ...options, entriesDue: false, distrusted: false }

  let last: Promise<unknown> = Promise.resolve()
  const exclusive = <A>(body: () => Promise<A>): Promise<A> => {
    const result = last.then(body)
    last = result.catch(() => undefined)
    return result
  }

  return {
    /**
     * Completes when everything appended before the call is on the disk, or returns the problem. Calls run one after the other.
     * Never rejects.
     */
    sync: () => exclusive(() => sync(state)),
    /** Distrusts the files: all unsynced frames are written again before the next sync. */
    distrust: () => {
      state.distrusted = true
    },
    /** Waits until no sync runs. None starts until the returned function is called, or `signal` aborts the wait. */
    hold: (signal: AbortSignal) =>
      new Promise<() => void>((held) => {
        void exclusive(
          () =>
            new Promise<void>((end) => {
              // A caller that stopped waiting must not block later calls.
              if (signal.aborted) return end()
              signal.addEventListener("abort", () => end(), { once: true })
              held(end)
            })
        )
      }),
    /** Whether anything is not synced. */
    isDue: () => state.unsynced.waiting() > 0 || state.entriesDue || state.writer.opened().some(isBehind)
  }
}

export type JournalSync = ReturnType<typeof make>

/**
 * One sync for many requests: a request during a sync is served by the next sync. `sync` covers everything appended before the
 * call. It reports a failure as its result and never rejects.
 */
export const makeGroupCommit = (sync: () => Promise<JournalProblem | undefined>) => {
  let waiting: Array<(problem?: JournalProblem) => void> = []
  let running = false

  const run = () => {
    const served = waiting
    waiting = []
    const answer = (problem: JournalProblem | undefined) => {
      for (const done of served) done(problem)
      running = waiting.length > 0
      if (running) run()
    }
    sync().then(answer, (cause: unknown) => answer({ reason: "failing", detail: String(cause) }))
  }

  return {
    request: (done: (problem?: JournalProblem) => void) => {
      waiting.push(done)
      if (running) return
      running = true
      // Runs after the other requests of this turn, so that one sync covers their events too.
      setImmediate(run)
    }
  }
}

export type GroupCommit = ReturnType<typeof makeGroupCommit>

/** A sync hangs after three flush intervals, but never before three seconds, because disks pause. */
const patience = { intervals: 3, least: Duration.seconds(3) } as const

/** Tells a slow disk from one that hangs. */
export const makeSyncWatchdog = (options: {
  readonly now: () => number
  readonly flushInterval: Duration.DurationInput
  readonly path: string
}) => {
  const { now, path } = options
  const longest = Duration.toMillis(
    Duration.max(Duration.times(options.flushInterval, patience.intervals), patience.least)
  )
  let since: number | undefined
  return {
    /** Counts the disk as busy until the promise settles. */
    during: <A>(work: () => Promise<A>): Promise<A> => {
      since = now()
      return work().finally(() => {
        since = undefined
      })
    },
    /** Null while the disk answers in time. */
    hanging: (): Problem =>
      since === undefined || now() - since < longest
        ? null
        : {
            detail: `the disk has not completed a sync since ${new Date(since).toISOString()} (${path})`,
            since
          }
  }
}

/** Logs when events are accepted but do not reach the disk. */
export const watchDisk = (read: () => Problem): Effect.Effect<never> =>
  watchProblem(read, {
    lasts: ({ detail }) =>
      `The audit journal's events are not on the disk: ${detail}. They survive the end of this process, but not that of the ` +
      "machine. Answers that wait for the disk (AUDIT_DURABILITY=fsync) are refused. Fix the disk of GRAVITAS_HOME; the process " +
      "recovers by itself.",
    over: "The audit journal's disk answers again."
  })
