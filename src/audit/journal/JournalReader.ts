import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { yieldNow } from "../../platform/os/EventLoop.ts"
import type { FileTrouble, JournalFiles } from "./JournalFiles.ts"
import * as Quarantine from "./Quarantine.ts"
import * as SegmentScan from "./SegmentScan.ts"
import type { Segment, Segments } from "./Segments.ts"

/** A record as it was appended. */
export interface JournalFrame {
  readonly seq: number
  readonly json: string
}

export interface JournalReading {
  /** In order of their numbers. */
  readonly frames: ReadonlyArray<JournalFrame>
  /** Everything appended before the reading ended has been read. */
  readonly caughtUp: boolean
  /** Damaged spans that this reading copied to the quarantine. */
  readonly quarantined: number
}

export interface JournalReader {
  /**
   * Reads up to `max` records, fewer only at the end. Reads ahead in chunks and yields to the event loop between slices. Copies
   * damaged records to the quarantine and skips them. Never fails: a read error is retried, and shown in the status.
   */
  readonly next: (max: number) => Effect.Effect<JournalReading>
  /** Copies a record that was read and is not an event to the quarantine. Retries until that succeeds. */
  readonly quarantine: (frame: JournalFrame) => Effect.Effect<void>
}

/** The state of reading, for the journal's status. */
export interface ReadingState {
  /** Damaged spans that were copied to the quarantine. */
  quarantined: number
  problem: { readonly detail: string; readonly since: number } | null
}

export interface JournalReaderOptions {
  readonly segments: Segments
  readonly files: JournalFiles
  /** The directory for damaged spans. */
  readonly quarantine: string
  readonly state: ReadingState
  /** Only records with a higher number are read. */
  readonly after: number
}

/** Records between two turns of the event loop. */
const slice = 64

const retryPause = "200 millis"

/** The position of a reader. */
interface Position extends JournalReaderOptions {
  readonly window: Buffer
  lastSeq: number
  /** The last item that was read is a damaged span. */
  damaged: boolean
  current: { readonly segment: Segment; readonly scan: SegmentScan.SegmentScan } | undefined
}

const nextSegment = ({ current, lastSeq, segments }: Position): Segment | undefined =>
  segments.all().find(({ index, lastSeq: last }) => index > (current?.segment.index ?? 0) && last > lastSeq)

/** Moves to the next segment when this one is read or removed. Returns false when nothing is left to read. */
const advance = (position: Position): boolean => {
  const { current, files, window } = position
  if (current !== undefined && !current.segment.dropped && current.scan.position() < current.segment.length) return true
  const segment = nextSegment(position)
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
  position.current = { segment, scan }
  return true
}

const isCaughtUp = (position: Position): boolean => {
  const { current } = position
  return (
    (current === undefined || current.segment.dropped || current.scan.position() >= current.segment.length) &&
    nextSegment(position) === undefined
  )
}

const keepDamage = ({ files, quarantine, state }: Position, segment: Segment, damage: SegmentScan.DamageFound) =>
  Effect.map(Quarantine.keep({ files, directory: quarantine, segment, from: damage.from, to: damage.to }), (isNew) => {
    if (isNew) state.quarantined += 1
    return isNew
  })

/** Retries until the effect succeeds. Undefined when the segment was settled meanwhile, so that it is not needed. */
const patiently = <A>(position: Position, effect: Effect.Effect<A, FileTrouble>): Effect.Effect<A | undefined> =>
  Effect.gen(function* () {
    const { state } = position
    for (;;) {
      const segment = position.current?.segment
      const result = yield* Effect.either(effect)
      if (result._tag === "Right") {
        state.problem = null
        return result.right
      }
      if (segment?.dropped === true) {
        state.problem = null
        return undefined
      }
      const since = state.problem?.since ?? (yield* Clock.currentTimeMillis)
      state.problem = { detail: result.left.message, since }
      yield* Effect.sleep(retryPause)
    }
  })

/** Reads the next slice of the current segment into `frames`. Returns how many damaged spans were new. */
const readSlice = Effect.fnUntraced(function* (
  position: Position,
  { scan, segment }: NonNullable<Position["current"]>,
  frames: Array<JournalFrame>,
  max: number
) {
  let quarantined = 0
  const found = yield* patiently(position, scan.next(Math.min(slice, max - frames.length)))
  for (const one of found ?? []) {
    if (one._tag === "Damage") {
      position.damaged = true
      if ((yield* patiently(position, keepDamage(position, segment, one))) === true) quarantined += 1
      continue
    }
    if (one.seq > position.lastSeq) {
      // The numbers between were in the damaged span. They are never read, so they would never be settled.
      if (position.damaged) segment.unsettled.removeBetween(position.lastSeq + 1, one.seq - 1)
      position.lastSeq = one.seq
      frames.push({ seq: one.seq, json: one.json })
    }
    position.damaged = false
  }
  if (position.damaged && scan.position() >= segment.length) {
    segment.unsettled.removeBetween(position.lastSeq + 1, segment.lastSeq)
    position.damaged = false
  }
  return quarantined
})

const read = Effect.fnUntraced(function* (position: Position, max: number) {
  const frames: Array<JournalFrame> = []
  let quarantined = 0
  while (frames.length < max && advance(position) && position.current !== undefined) {
    quarantined += yield* readSlice(position, position.current, frames, max)
    if (frames.length < max) yield* yieldNow
  }
  return { frames, quarantined, caughtUp: isCaughtUp(position) }
})

/**
 * Reads segments that may grow, end and be removed meanwhile. Numbers only rise, so records that a rewritten segment repeats
 * are skipped.
 */
export const make = (options: JournalReaderOptions): JournalReader => {
  const position: Position = {
    ...options,
    window: SegmentScan.makeWindow(),
    lastSeq: options.after,
    damaged: false,
    current: undefined
  }
  const { files, quarantine, state } = options
  return {
    quarantine: (frame) =>
      Effect.map(patiently(position, Quarantine.keepRecord(files, quarantine, frame)), (isNew) => {
        if (isNew === true) state.quarantined += 1
      }),
    next: (max) => read(position, max)
  }
}
