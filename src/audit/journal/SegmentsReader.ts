import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { yieldNow } from "../../platform/os/EventLoop.ts"
import type { FileTrouble, JournalFiles } from "./JournalFiles.ts"
import type { JournalFrame, JournalReader } from "./JournalReader.ts"
import * as Quarantine from "./Quarantine.ts"
import type { Segment } from "./Segment.ts"
import * as SegmentScan from "./SegmentScan.ts"
import type { Segments } from "./Segments.ts"

/** What reading says of itself, for a status. */
export interface ReadingState {
  /** Damaged spans that were put aside. */
  quarantined: number
  problem: { readonly detail: string; readonly since: number } | null
}

export interface SegmentsReaderOptions {
  readonly segments: Segments
  readonly files: JournalFiles
  /** Where damaged spans go. */
  readonly quarantine: string
  readonly state: ReadingState
  /** Records with a higher number are read. */
  readonly after: number
}

/** Records between two turns of the event loop. */
const slice = 64

const pause = "200 millis"

/**
 * Reads segments that may grow, end and go meanwhile. Numbers only rise, so what a rewritten segment repeats is passed over.
 */
export const make = (options: SegmentsReaderOptions): JournalReader => {
  const { files, quarantine, segments, state } = options
  const window = SegmentScan.makeWindow()
  let lastSeq = options.after
  /** What was read last was a damaged span. */
  let damaged = false
  let current: { readonly segment: Segment; readonly scan: SegmentScan.SegmentScan } | undefined

  const nextSegment = (): Segment | undefined =>
    segments.all().find(({ index, lastSeq: last }) => index > (current?.segment.index ?? 0) && last > lastSeq)

  /** Goes to the next segment where this one is read or gone; false when there is nothing to read. */
  const advance = (): boolean => {
    if (current !== undefined && !current.segment.dropped && current.scan.position() < current.segment.length)
      return true
    const segment = nextSegment()
    if (segment === undefined) return false
    const { path, seeds, start } = segment
    const scan = SegmentScan.make({
      path,
      files,
      seeds,
      from: start,
      end: () => segment.length,
      window,
      texts: true
    })
    current = { segment, scan }
    return true
  }

  const isCaughtUp = (): boolean =>
    (current === undefined || current.segment.dropped || current.scan.position() >= current.segment.length) &&
    nextSegment() === undefined

  const putAside = (segment: Segment, damage: SegmentScan.DamageFound) =>
    Effect.map(
      Quarantine.keep({ files, directory: quarantine, segment, from: damage.from, to: damage.to }),
      (isNew) => {
        if (isNew) state.quarantined += 1
        return isNew
      }
    )

  const patiently = <A>(effect: Effect.Effect<A, FileTrouble>): Effect.Effect<A | undefined> =>
    Effect.gen(function* () {
      for (;;) {
        const segment = current?.segment
        const result = yield* Effect.either(effect)
        if (result._tag === "Right") {
          state.problem = null
          return result.right
        }
        // Settled while it was being read, so nobody needs it.
        if (segment?.dropped === true) {
          state.problem = null
          return undefined
        }
        const since = state.problem?.since ?? (yield* Clock.currentTimeMillis)
        state.problem = { detail: result.left.message, since }
        yield* Effect.sleep(pause)
      }
    })

  return {
    putAside: (frame) =>
      Effect.map(patiently(Quarantine.keepRecord(files, quarantine, frame)), (isNew) => {
        if (isNew === true) state.quarantined += 1
      }),
    next: (max) =>
      Effect.gen(function* () {
        const frames: Array<JournalFrame> = []
        let quarantined = 0
        while (frames.length < max && advance() && current !== undefined) {
          const { scan, segment } = current
          const found = yield* patiently(scan.next(Math.min(slice, max - frames.length)))
          for (const one of found ?? []) {
            if (one._tag === "Damage") {
              damaged = true
              if ((yield* patiently(putAside(segment, one))) === true) quarantined += 1
              continue
            }
            if (one.seq > lastSeq) {
              // Those between were in the damaged span; nobody will be given them, so nobody will settle them.
              if (damaged) segment.unsettled.removeBetween(lastSeq + 1, one.seq - 1)
              lastSeq = one.seq
              frames.push({ seq: one.seq, json: one.json })
            }
            damaged = false
          }
          if (damaged && scan.position() >= segment.length) {
            segment.unsettled.removeBetween(lastSeq + 1, segment.lastSeq)
            damaged = false
          }
          if (frames.length < max) yield* yieldNow
        }
        return { frames, quarantined, caughtUp: isCaughtUp() }
      })
  }
}
