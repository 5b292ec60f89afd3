import { type JournalFiles, reasonOf } from "./JournalFiles.ts"
import type { JournalProblem } from "./JournalStatus.ts"
import type { OpenSegment } from "./NewSegment.ts"
import type { SegmentWriter } from "./SegmentWriter.ts"
import type { UnsyncedFrames } from "./UnsyncedFrames.ts"

export interface JournalSync {
  /**
   * Completes when all that was appended before the call is on the disk, or gives the problem. Of two calls the second waits
   * for the first. Never fails.
   */
  readonly sync: () => Promise<JournalProblem | undefined>
  /** Whether anything waits. */
  readonly isDue: () => boolean
  /** What is behind is not in its files for certain: it is written anew before the next write-through. */
  readonly distrust: () => void
  /** Waits until nothing is written through; nothing is until the given function is called, or `signal` says to let go. */
  readonly hold: (signal: AbortSignal) => Promise<() => void>
}

export interface JournalSyncOptions {
  /** The journal's directory. */
  readonly path: string
  readonly files: JournalFiles
  readonly writer: SegmentWriter
  readonly unsynced: UnsyncedFrames
}

/**
 * After a failed fdatasync the system may have dropped what it could not write, and answer the next one with success: the
 * same file is not trusted again. Everything that was not on the disk by then is written anew, to another file.
 */
export const make = ({ files, path, unsynced, writer }: JournalSyncOptions): JournalSync => {
  let entriesDue = false
  let distrusted = false

  const isBehind = (one: OpenSegment) => !one.segment.dropped && one.synced < one.segment.length

  const entries = async (): Promise<void> => {
    entriesDue = writer.takeNewEntries() || entriesDue
    if (!entriesDue) return
    entriesDue = false
    try {
      await files.syncDirectory(path)
    } catch (cause) {
      entriesDue = true
      throw cause
    }
  }

  const data = async (one: OpenSegment): Promise<void> => {
    const { length, lastSeq } = one.segment
    one.syncing = true
    try {
      await files.fdatasync(one.fd)
      one.synced = length
      one.syncedSeq = lastSeq
    } catch (cause) {
      distrusted = true
      throw cause
    } finally {
      one.syncing = false
    }
  }

  const attempt = async (): Promise<void> => {
    const target = unsynced.written()
    const behind = writer.opened().filter(isBehind)
    try {
      for (const one of behind) if (!one.segment.dropped) await data(one)
      await entries()
    } finally {
      writer.closeDone()
    }
    unsynced.release(target)
  }

  /** All that is behind at once, also what was appended elsewhere since the failure: the numbers rise from file to file. */
  const rewrite = (): JournalProblem | undefined => {
    if (!distrusted) return undefined
    const behind = writer.opened().filter(isBehind)
    const problem = behind.length === 0 ? undefined : writer.rewrite(behind)
    distrusted = problem !== undefined
    return problem
  }

  const tell = (cause: unknown): JournalProblem => ({ reason: "failing", detail: `${reasonOf(cause)} (${path})` })

  const sync = async (): Promise<JournalProblem | undefined> => {
    const before = rewrite()
    if (before !== undefined) return before
    try {
      await attempt()
      return undefined
    } catch {
      const problem = rewrite()
      if (problem !== undefined) return problem
    }
    try {
      await attempt()
      return undefined
    } catch (cause) {
      return tell(cause)
    }
  }

  let last: Promise<unknown> = Promise.resolve()
  const exclusive = <A>(body: () => Promise<A>): Promise<A> => {
    const result = last.then(body)
    last = result.catch(() => undefined)
    return result
  }
  return {
    sync: () => exclusive(sync),
    distrust: () => {
      distrusted = true
    },
    hold: (signal) =>
      new Promise((held) => {
        void exclusive(
          () =>
            new Promise<void>((end) => {
              // Who stopped waiting must not hold up those that come after.
              if (signal.aborted) return end()
              signal.addEventListener("abort", () => end(), { once: true })
              held(end)
            })
        )
      }),
    isDue: () => unsynced.waiting() > 0 || entriesDue || writer.opened().some(isBehind)
  }
}
