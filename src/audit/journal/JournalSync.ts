import { type JournalFiles, reasonOf } from "./JournalFiles.ts"
import type { JournalProblem } from "./JournalStatus.ts"
import type { OpenSegment } from "./NewSegment.ts"
import type { SegmentWriter } from "./SegmentWriter.ts"
import type { UnsyncedFrames } from "./UnsyncedFrames.ts"

/** Syncs the segments of a journal to the disk, and writes frames again after a failed sync. */
export interface JournalSync {
  /**
   * Completes when everything appended before the call is on the disk, or returns the problem. Calls run one after the other.
   * Never rejects.
   */
  readonly sync: () => Promise<JournalProblem | undefined>
  /** Whether anything is not synced. */
  readonly isDue: () => boolean
  /** Distrusts the files: all unsynced frames are written again before the next sync. */
  readonly distrust: () => void
  /** Waits until no sync runs. None starts until the returned function is called, or `signal` aborts the wait. */
  readonly hold: (signal: AbortSignal) => Promise<() => void>
}

export interface JournalSyncOptions {
  /** The journal's directory. */
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
    one.synced = length
    one.syncedSeq = lastSeq
  } catch (cause) {
    state.distrusted = true
    throw cause
  } finally {
    one.syncing = false
  }
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

export const make = (options: JournalSyncOptions): JournalSync => {
  const state: State = { ...options, entriesDue: false, distrusted: false }

  let last: Promise<unknown> = Promise.resolve()
  const exclusive = <A>(body: () => Promise<A>): Promise<A> => {
    const result = last.then(body)
    last = result.catch(() => undefined)
    return result
  }

  return {
    sync: () => exclusive(() => sync(state)),
    distrust: () => {
      state.distrusted = true
    },
    hold: (signal) =>
      new Promise((held) => {
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
    isDue: () => state.unsynced.waiting() > 0 || state.entriesDue || state.writer.opened().some(isBehind)
  }
}
