import type { DiskQuota } from "./DiskQuota.ts"
import * as Frame from "./Frame.ts"
import type { JournalFiles } from "./JournalFiles.ts"
import type { JournalIdentity } from "./JournalIdentity.ts"
import type { JournalProblem } from "./JournalStatus.ts"
import { create, failing, type NewSegmentOptions, type OpenSegment, writeAll } from "./NewSegment.ts"
import type { Segments } from "./Segments.ts"
import * as TornWrites from "./TornWrites.ts"
import type { UnsyncedFrames } from "./UnsyncedFrames.ts"

/** The segments of a living journal that are written to, one at a time. */
export interface SegmentWriter {
  /**
   * One write, which is not on the disk yet. The JSON is canonical: without raw control characters. A failed or short write
   * leaves no trace.
   */
  readonly append: (seq: number, json: string) => JournalProblem | undefined
  readonly lastSeq: () => number
  /** Whether an event of up to `bytes` would be appended, but for what only its own write can tell; makes the file for it. */
  readonly isReady: (bytes: number) => boolean
  /** Segments whose descriptors are open, oldest first. */
  readonly opened: () => ReadonlyArray<OpenSegment>
  /** Closes what needs no more writing. */
  readonly closeDone: () => void
  /** Whether a file was made since the last call. */
  readonly takeNewEntries: () => boolean
  /**
   * Writes all frames that wait for the disk once more, into a new segment, and lets those that `failed` end where they were
   * synced, which are all that are behind. A problem when that does not succeed: then everything is as before.
   */
  readonly rewrite: (failed: ReadonlyArray<OpenSegment>) => JournalProblem | undefined
  /**
   * The files are gone: what was only in them is lost. What waits for the disk is to be written anew; until then nothing is
   * appended to a file that nobody finds.
   */
  readonly forsake: () => void
  /** The directory is there again. */
  readonly goOn: () => void
  /** Nothing is appended any more; descriptors that the disk is at work on stay open until it is done. */
  readonly close: () => void
}

export interface SegmentWriterOptions {
  readonly path: string
  readonly identity: JournalIdentity
  readonly files: JournalFiles
  readonly room: DiskQuota
  readonly segmentBytes: number
  readonly segments: Segments
  readonly unsynced: UnsyncedFrames
}

export const make = (options: SegmentWriterOptions): SegmentWriter => {
  const { files, path, room, segmentBytes, segments, unsynced } = options
  let opened: ReadonlyArray<OpenSegment> = []
  let active: OpenSegment | undefined
  let lastIndex = 0
  let lastSeq = 0
  let newEntries = false
  let stopped: string | undefined

  const full = (bytes: number): JournalProblem => ({
    reason: "full",
    detail: `${room.used()} of ${room.maxBytes} bytes are used, and the event needs ${bytes} (${path})`
  })

  const shut = (one: OpenSegment) => {
    opened = opened.filter((other) => other !== one)
    try {
      files.close(one.fd)
    } catch {
      // The descriptor is gone in any case.
    }
  }

  const closeDone = () => {
    for (const one of opened) {
      if (one.syncing || !one.segment.sealed) continue
      if (one.segment.dropped || one.synced >= one.segment.length) shut(one)
    }
  }

  const seal = () => {
    if (active !== undefined) active.segment.sealed = true
    active = undefined
    closeDone()
  }

  const begin = (firstSeq: number, frames: NewSegmentOptions["frames"] = []): OpenSegment => {
    // An index is used once, even when the file cannot be filled.
    lastIndex += 1
    // A file that is gone needs no words in the next header, and these are bounded.
    segments.sweep()
    TornWrites.cut({ files, room, segments: segments.all(), opened })
    const predecessors = segments.all().flatMap(({ ends }) => (ends === undefined ? [] : [ends]))
    const { identity } = options
    const made = create({ files, directory: path, index: lastIndex, identity, firstSeq, predecessors, frames })
    newEntries = true
    room.force(made.segment.size)
    return made
  }

  const activate = (one: OpenSegment) => {
    seal()
    segments.add(one.segment)
    opened = [...opened, one]
    active = one
  }

  const rotate = (firstSeq: number): JournalProblem | undefined => {
    try {
      activate(begin(firstSeq))
      return undefined
    } catch (cause) {
      return failing(path, cause)
    }
  }

  /** Without this, events that are settled long ago could fill a small journal for ever. */
  const reclaim = (bytes: number): boolean => {
    if (active !== undefined && active.segment.unsettled.size() === 0) seal()
    segments.sweep()
    closeDone()
    return room.used() + bytes <= room.maxBytes
  }

  const needsNew = (one: OpenSegment, bytes: number): boolean =>
    one.suspect || (one.segment.length + bytes > segmentBytes && one.segment.length > one.segment.start)

  const append = (seq: number, json: string): JournalProblem | undefined => {
    if (stopped !== undefined) return { reason: "failing", detail: `${stopped} (${path})` }
    if (seq <= lastSeq) return { reason: "failing", detail: `number ${seq} does not follow ${lastSeq} (${path})` }
    if (json.length > Frame.maxPayload) return { reason: "failing", detail: `an event of ${json.length} characters` }
    // Exact where space is short: who is refused for his bytes must have had room made for as many.
    const isShort = room.used() + Frame.frameHead + 3 * json.length > room.maxBytes
    const estimate = Frame.frameHead + (isShort ? Buffer.byteLength(json) : json.length)
    if (room.used() + estimate > room.maxBytes && !reclaim(estimate)) return full(estimate)
    if (active === undefined || needsNew(active, estimate)) {
      const problem = rotate(seq)
      if (problem !== undefined) return problem
    }
    const file = active
    const chunk = unsynced.place(Frame.frameHead + 3 * json.length)
    if (file === undefined || chunk === undefined) {
      return {
        reason: "failing",
        detail: `${unsynced.waiting()} bytes wait to be written through to the disk (${path})`
      }
    }
    const { segment } = file
    const length = Frame.encode(chunk.buffer, chunk.used, seq, json, file.seed)
    if (length > Frame.maxFrame) return { reason: "failing", detail: `an event of ${length} bytes` }
    if (!room.take(length)) return full(length)
    try {
      // One write in all but a few cases, without the loop around it.
      const written = files.write(file.fd, chunk.buffer, chunk.used, length, segment.length)
      if (written < length) {
        writeAll(files, file.fd, chunk.buffer, chunk.used + written, length - written, segment.length + written)
      }
    } catch (cause) {
      room.give(length)
      TornWrites.takeBack({ files, room, one: file, bytes: length, cause })
      return failing(segment.path, cause)
    }
    unsynced.keep(chunk, length)
    segment.length += length
    segment.size += length
    segment.lastSeq = seq
    segment.unsettled.add(seq)
    lastSeq = seq
    return undefined
  }

  return {
    append,
    lastSeq: () => lastSeq,
    isReady: (bytes) =>
      stopped === undefined &&
      (room.used() + bytes <= room.maxBytes || reclaim(bytes)) &&
      unsynced.hasRoom(3 * bytes) &&
      ((active !== undefined && !needsNew(active, bytes)) || rotate(lastSeq + 1) === undefined),
    opened: () => opened,
    closeDone,
    takeNewEntries: () => {
      const had = newEntries
      newEntries = false
      return had
    },
    rewrite: (failed) => {
      const firstSeq = Math.min(...failed.map(({ syncedSeq }) => syncedSeq)) + 1
      const before = failed.map(({ segment }) => segment.ends)
      for (const { segment, synced } of failed) segment.ends = { segment: segment.index, end: synced }
      let next: OpenSegment
      try {
        next = begin(firstSeq, unsynced.spans())
      } catch (cause) {
        for (const [place, { segment }] of failed.entries()) segment.ends = before[place]
        return failing(path, cause)
      }
      next.segment.lastSeq = lastSeq
      for (const one of failed) {
        const { segment, synced, syncedSeq } = one
        for (const { from, to } of segment.unsettled.split(syncedSeq + 1).ranges()) {
          for (let seq = from; seq <= to; seq += 1) next.segment.unsettled.add(seq)
        }
        segment.length = Math.max(segment.start, synced)
        segment.lastSeq = syncedSeq
        one.synced = segment.length
      }
      activate(next)
      segments.sweep()
      closeDone()
      return undefined
    },
    forsake: () => {
      const kept = unsynced.firstSeq() ?? Number.POSITIVE_INFINITY
      stopped = "the journal's directory has vanished"
      for (const segment of segments.all()) {
        if (opened.every((one) => one.segment !== segment)) segments.drop(segment)
      }
      for (const one of opened) {
        one.segment.unsettled.removeBetween(0, kept - 1)
        one.synced = 0
        one.syncedSeq = Math.max(one.segment.firstSeq, kept) - 1
      }
      if (kept === Number.POSITIVE_INFINITY) for (const { segment } of opened) segments.drop(segment)
      seal()
    },
    goOn: () => {
      stopped = undefined
    },
    close: () => {
      stopped = "the journal is closed"
      seal()
      for (const one of opened) if (!one.syncing) shut(one)
    }
  }
}
