import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { yieldNow } from "../../platform/os/EventLoop.ts"
import type { FileTrouble, JournalFiles } from "./JournalFiles.ts"
import * as Quarantine from "./Quarantine.ts"
import * as SegmentScan from "./SegmentScan.ts"
import type { Segment, Segments } from "./Segments.ts"

export interface JournalFrame {
  readonly seq: number
  readonly json: string
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
  readonly quarantine: string
  readonly state: ReadingState
  /** Only records with a higher number are read. */
  readonly after: number
}

/** Records between two turns of the event loop. */
const slice = 64

const retryPause = "200 millis"

interface Position extends JournalReaderOptions {
  readonly window: Buffer
  lastSeq: number
  /** The last item that was read is a damaged span. */
  damaged: boolean
  current: { readonly segment: Segment; readonly scan: SegmentScan.SegmentScan } | undefined
}

const nextSegment = ({ current, lastSeq, segments }: Position): Segment | undefined =>
  segments.all().find(({ index, lastSeq: last }) => index > (current?.segment.index ?? 0) && last > lastSeq)

/** Whether the current segment is read or removed. */
const isDone = ({ current }: Position): boolean =>
  current === undefined || current.segment.dropped || current.scan.position() >= current.segment.length

/** Moves to the next segment when this one is done. Returns false when nothing is left to read. */
const advance = (position: Position): boolean => {
  if (!isDone(position)) return true
  const segment = nextSegment(position)
  if (segment === undefined) return false
  const { files, window } = position
  const { path, seeds, start } = segment
  const scan = SegmentScan.make({ path, files, seeds, from: start, end: () => segment.length, window, texts: true })
  position.current = { segment, scan }
  return true
}

const keepDamage = ({ files, quarantine, state }: Position, segment: Segment, damage: SegmentScan.DamageFound) =>
  Effect.map(Quarantine.keep({ files, directory: quarantine, segment, from: damage.from, to: damage.to }), (isNew) => {
    if (isNew) state.quarantined += 1
    return isNew
  })

/** Retries until the effect succeeds. Undefined when the segment was settled meanwhile, so that it is not needed. */
const patiently = <A>(position: Position, effect: Effect.Effect<A, FileTrouble>): Effect.Effect<A | undefined> =>
  Effect.suspend(() => {
    const { current, state } = position
    return effect.pipe(
      Effect.tapError(({ message }) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          state.problem = { detail: message, since: state.problem?.since ?? now }
        })
      ),
      Effect.retry({ schedule: Schedule.spaced(retryPause), while: () => current?.segment.dropped !== true }),
      Effect.orElseSucceed(() => undefined),
      Effect.tap(Effect.sync(() => (state.problem = null)))
    )
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
  return {
    /** In order of their numbers. */
    frames,
    /** Damaged spans that this reading copied to the quarantine. */
    quarantined,
    /** Everything appended before the reading ended has been read. */
    caughtUp: isDone(position) && nextSegment(position) === undefined
  }
})

/**
 * Reads segments that may grow, end and be removed meanwhile. Numbers only rise, so records that a rewritten segment repeats
 * are skipped.
 */
export const make = (options: JournalReaderOptions) => {
  const position: Position = {
    ...options,
    window: SegmentScan.makeWindow(),
    lastSeq: options.after,
    damaged: false,
    current: undefined
  }
  const { files, quarantine, state } = options
  return {
    /** Copies a record that was read and is not an event to the quarantine. Retries until that succeeds. */
    quarantine: (frame: JournalFrame) =>
      Effect.map(patiently(position, Quarantine.keepRecord(files, quarantine, frame)), (isNew) => {
        if (isNew === true) state.quarantined += 1
      }),
    /**
     * Reads up to `max` records, fewer only at the end. Reads ahead in chunks and yields to the event loop between slices. Copies
     * damaged records to the quarantine and skips them. Never fails: a read error is retried, and shown in the status.
     */
    next: (max: number) => read(position, max)
  }
}

export type JournalReader = ReturnType<typeof make>
