import type { UnsyncedFrames } from "./Frame.ts"
import * as Frame from "./Frame.ts"
import type { JournalFiles } from "./JournalFiles.ts"
import type { JournalProblem } from "./JournalStatus.ts"
import {
  create,
  cutTornTails,
  distrust,
  failing,
  full,
  isFull,
  type NewSegmentOptions,
  type OpenSegment,
  tooLarge,
  undoWrite,
  writeAll
} from "./OpenSegment.ts"
import type { JournalIdentity } from "./SegmentHeader.ts"
import type { DiskQuota, Segments } from "./Segments.ts"

export interface SegmentWriterOptions {
  readonly path: string
  readonly identity: JournalIdentity
  readonly files: JournalFiles
  readonly quota: DiskQuota
  readonly segmentBytes: number
  readonly segments: Segments
  readonly unsynced: UnsyncedFrames
}

/** The options of a writer, and its state. */
interface State extends Omit<SegmentWriterOptions, "segmentBytes"> {
  /** Less than `largest` after the disk was full. */
  segmentBytes: number
  readonly largest: number
  opened: ReadonlyArray<OpenSegment>
  active: OpenSegment | undefined
  lastIndex: number
  lastSeq: number
  newEntries: boolean
  /** The last attempt to append failed because the disk has no space; `cramped`: one did since the last segment began. */
  diskFull: boolean
  cramped: boolean
  /** Why nothing is appended: `vanished` until `resume`, or closed for ever. */
  stopped: string | undefined
}

const vanished = "the journal's directory has vanished"

/** UTF-8 needs at most this many bytes for a character of a JavaScript string. */
const bytesPerChar = 3

const shut = (state: State, one: OpenSegment) => {
  state.opened = state.opened.filter((other) => other !== one)
  try {
    state.files.close(one.fd)
  } catch {
    // The descriptor is closed in any case.
  }
}

const closeDone = (state: State) => {
  for (const one of state.opened) {
    if (one.syncing || !one.segment.sealed) continue
    if (one.segment.dropped || one.synced >= one.segment.length) shut(state, one)
  }
}

const seal = (state: State) => {
  if (state.active !== undefined) state.active.segment.sealed = true
  state.active = undefined
  closeDone(state)
}

/** Creates the next segment. Then `activate` makes it the one that events are appended to, and seals the segment before it. */
const begin = (state: State, firstSeq: number, frames: NewSegmentOptions["frames"] = []): OpenSegment => {
  const { files, identity, opened, path, quota, segments } = state
  // The writer never uses an index twice, even when creating the file fails.
  state.lastIndex += 1
  // The header lists where readers must stop in other segments, and its size is bounded: first shorten that list.
  segments.sweep()
  cutTornTails({ files, quota, segments: segments.all(), opened })
  const predecessors = segments.all().flatMap(({ ends }) => (ends === undefined ? [] : [ends]))
  const made = create({ files, directory: path, index: state.lastIndex, identity, firstSeq, predecessors, frames })
  state.newEntries = true
  quota.force(made.segment.size)
  return made
}

const activate = (state: State, one: OpenSegment) => {
  seal(state)
  state.segments.add(one.segment)
  state.opened = [...state.opened, one]
  state.active = one
}

const rotate = (state: State, firstSeq: number): JournalProblem | undefined => {
  try {
    activate(state, begin(state, firstSeq))
    // The first segment after a full disk stays small. That it is followed by another shows that there is room again.
    if (!state.cramped) state.segmentBytes = Math.min(state.largest, 2 * state.segmentBytes)
    state.cramped = false
    return undefined
  } catch (cause) {
    state.diskFull = isFull(cause)
    return failing(state.path, cause)
  }
}

/** Removes settled segments. Without this, events that were settled long ago could fill a small journal or disk for ever. */
const reclaim = (state: State): void => {
  const { active, segments } = state
  if (active !== undefined && active.segment.unsettled.size() === 0) seal(state)
  segments.sweep()
  closeDone(state)
}

/** Whether the quota has room for so many bytes, once settled segments are removed. */
const fits = (state: State, bytes: number): boolean => {
  const { quota } = state
  if (quota.used() + bytes > quota.maxBytes) reclaim(state)
  return quota.used() + bytes <= quota.maxBytes
}

/** Removes settled segments from a full disk; returns whether there were any. The next segments are smaller, and go sooner. */
const freesDisk = (state: State): boolean => {
  const used = state.quota.used()
  state.cramped = true
  state.segmentBytes = Math.min(state.segmentBytes, Math.max(64 * 2 ** 10, Math.floor(used / 4)))
  reclaim(state)
  return state.quota.used() < used
}

const needsNew = ({ segmentBytes }: State, one: OpenSegment, bytes: number): boolean =>
  one.suspect || (one.segment.length + bytes > segmentBytes && one.segment.length > one.segment.start)

const makeReady = (state: State, bytes: number): boolean => {
  if (state.stopped !== undefined || !fits(state, bytes)) return false
  if (!state.unsynced.hasRoom(bytesPerChar * bytes)) return false
  // Read only now: `fits` may have sealed the active segment.
  const { active, lastSeq } = state
  return (active !== undefined && !needsNew(state, active, bytes)) || rotate(state, lastSeq + 1) === undefined
}

/** Makes room and a segment for the event; returns why there is none. */
const prepare = (state: State, seq: number, json: string): JournalProblem | undefined => {
  const { path, quota } = state
  if (state.stopped !== undefined) return { reason: "failing", detail: `${state.stopped} (${path})` }
  if (seq <= state.lastSeq) {
    return { reason: "failing", detail: `number ${seq} does not follow ${state.lastSeq} (${path})` }
  }
  if (json.length > Frame.maxPayload) return tooLarge(`${json.length} characters`)
  // Near the quota the writer counts exact bytes, so that it neither refuses too early nor reclaims too little.
  const isShort = quota.used() + Frame.frameHead + bytesPerChar * json.length > quota.maxBytes
  const estimate = Frame.frameHead + (isShort ? Buffer.byteLength(json) : json.length)
  if (!fits(state, estimate)) return full(state, estimate)
  if (state.active === undefined || needsNew(state, state.active, estimate)) return rotate(state, seq)
  return undefined
}

const tryAppend = (state: State, seq: number, json: string): JournalProblem | undefined => {
  state.diskFull = false
  const problem = prepare(state, seq, json)
  if (problem !== undefined) return problem
  const { files, path, quota, unsynced } = state
  const file = state.active
  const chunk = unsynced.place(Frame.frameHead + bytesPerChar * json.length)
  if (file === undefined || chunk === undefined) {
    return { reason: "failing", detail: `${unsynced.waiting()} bytes wait for a sync to the disk (${path})` }
  }
  const { segment } = file
  const length = Frame.encode(chunk.buffer, chunk.used, seq, json, file.seed)
  if (length > Frame.maxFrame) return tooLarge(`${length} bytes`)
  if (!quota.take(length)) return full(state, length)
  try {
    // One write is nearly always enough. After a short write, `writeAll` writes the rest.
    const written = files.write(file.fd, chunk.buffer, chunk.used, length, segment.length)
    if (written < length) {
      writeAll(files, file.fd, chunk.buffer, chunk.used + written, length - written, segment.length + written)
    }
  } catch (cause) {
    quota.give(length)
    undoWrite({ files, quota, one: file, bytes: length, cause })
    state.diskFull = isFull(cause)
    return failing(segment.path, cause)
  }
  unsynced.keep(chunk, length)
  segment.length += length
  segment.size += length
  segment.lastSeq = seq
  segment.unsettled.add(seq)
  state.lastSeq = seq
  return undefined
}

const append = (state: State, seq: number, json: string): JournalProblem | undefined => {
  const problem = tryAppend(state, seq, json)
  return problem !== undefined && state.diskFull && freesDisk(state) ? tryAppend(state, seq, json) : problem
}

/** Moves the frames after the last sync to a new segment, whose header tells readers where the failed segments end. */
const rewrite = (state: State, failed: ReadonlyArray<OpenSegment>): JournalProblem | undefined => {
  const firstSeq = Math.min(...failed.map(({ syncedSeq }) => syncedSeq)) + 1
  const before = failed.map(({ segment }) => segment.ends)
  for (const { segment, synced } of failed) segment.ends = { segment: segment.index, end: synced }
  let next: OpenSegment
  try {
    next = begin(state, firstSeq, state.unsynced.spans())
  } catch (cause) {
    for (const [place, { segment }] of failed.entries()) segment.ends = before[place]
    return failing(state.path, cause)
  }
  next.segment.lastSeq = state.lastSeq
  for (const one of failed) {
    const { segment, synced, syncedSeq } = one
    for (const { from, to } of segment.unsettled.split(syncedSeq + 1).ranges()) {
      for (let seq = from; seq <= to; seq += 1) next.segment.unsettled.add(seq)
    }
    segment.length = Math.max(segment.start, synced)
    segment.lastSeq = syncedSeq
    one.synced = segment.length
  }
  activate(state, next)
  state.segments.sweep()
  closeDone(state)
  return undefined
}

/** Marks all open segments as unsynced, so that after `resume` `rewrite` writes the frames in memory to a new segment. */
const suspend = (state: State) => {
  const { opened, segments, unsynced } = state
  const firstKeptSeq = unsynced.firstSeq() ?? Number.POSITIVE_INFINITY
  state.stopped ??= vanished
  for (const segment of segments.all()) {
    if (opened.every((one) => one.segment !== segment)) segments.drop(segment)
  }
  for (const one of opened) distrust(one, firstKeptSeq)
  if (firstKeptSeq === Number.POSITIVE_INFINITY) for (const { segment } of opened) segments.drop(segment)
  seal(state)
}

/** Appends to the segments of a living journal, one segment at a time. */
export const make = (options: SegmentWriterOptions) => {
  const state: State = {
    ...options,
    largest: options.segmentBytes,
    opened: [],
    active: undefined,
    lastIndex: 0,
    lastSeq: 0,
    newEntries: false,
    diskFull: false,
    cramped: false,
    stopped: undefined
  }
  return {
    /**
     * Appends one event, without a sync. The JSON is canonical: it has no raw control characters. Readers see nothing of a write
     * that failed.
     */
    append: (seq: number, json: string) => append(state, seq, json),
    lastSeq: () => state.lastSeq,
    /** Makes room and a segment for an event of up to `bytes`. Returns whether the writer would try to append it. */
    makeReady: (bytes: number) => makeReady(state, bytes),
    /** Removes settled segments, also the one that events are appended to. */
    reclaim: () => reclaim(state),
    /** Segments whose descriptors are open, oldest first. */
    opened: () => state.opened,
    /** Closes the segments that need no more writes. */
    closeDone: () => closeDone(state),
    /** Whether files were created since the last call: then the directory needs a sync. */
    takeNewEntries: () => {
      const had = state.newEntries
      state.newEntries = false
      return had
    },
    /**
     * Writes all unsynced frames again, into a new segment, and ends the `failed` segments where they were synced. `failed` must
     * hold every segment that is not synced. Returns a problem when the new segment cannot be created; the frames stay in place.
     */
    rewrite: (failed: ReadonlyArray<OpenSegment>) => rewrite(state, failed),
    /**
     * The files have vanished, and what was only in them is lost. Unsynced frames will be written again. The writer appends
     * nothing until `resume`.
     */
    suspend: () => suspend(state),
    /** The directory exists again. A closed writer stays closed. */
    resume: () => {
      if (state.stopped === vanished) state.stopped = undefined
    },
    /** Ends the writer: it appends nothing from now on. A file whose sync is running closes after the sync. */
    close: () => {
      state.stopped = "the journal is closed"
      seal(state)
      for (const one of state.opened) if (!one.syncing) shut(state, one)
    }
  }
}

export type SegmentWriter = ReturnType<typeof make>
