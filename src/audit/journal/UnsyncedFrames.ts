import { maxFrame, seqOf } from "./Frame.ts"

/** Encoded frames that may not be on the disk yet: after a failed sync only this copy is certain. */
export interface UnsyncedFrames {
  /** Returns the place for the next frame of up to `bytes`; undefined when too many bytes wait for the disk. */
  readonly place: (bytes: number) => Chunk | undefined
  /** Whether `place` would return a place. */
  readonly hasRoom: (bytes: number) => boolean
  /** Keeps the frame encoded at the chunk's `used`. */
  readonly keep: (chunk: Chunk, bytes: number) => void
  /** Bytes kept so far, in total. */
  readonly written: () => number
  /** Bytes that wait. */
  readonly waiting: () => number
  /** Releases everything kept before `written` reached this value: it is on the disk. */
  readonly release: (written: number) => void
  /** The number of the first frame that waits for the disk. */
  readonly firstSeq: () => number | undefined
  /** The frames that wait for the disk, in order, as spans of whole frames. */
  readonly spans: () => ReadonlyArray<{ readonly buffer: Buffer; readonly from: number; readonly to: number }>
}

export interface Chunk {
  readonly buffer: Buffer
  used: number
  /** Bytes kept before its first. */
  base: number
}

/** Holds the longest frame, even when each of its characters needs three bytes. */
const chunkBytes = 4 * maxFrame

export const make = (limit: number): UnsyncedFrames => {
  let chunks: Array<Chunk> = []
  let spare: Buffer | undefined
  let written = 0
  let released = 0

  const grow = (): Chunk => {
    const chunk = { buffer: spare ?? Buffer.allocUnsafeSlow(chunkBytes), used: 0, base: written }
    spare = undefined
    chunks.push(chunk)
    return chunk
  }

  const spans = () => chunks.map(({ base, buffer, used }) => ({ buffer, from: Math.max(0, released - base), to: used }))

  const hasRoom = (bytes: number): boolean => written - released + bytes <= limit

  return {
    hasRoom,
    place: (bytes) => {
      if (!hasRoom(bytes)) return undefined
      const last = chunks[chunks.length - 1]
      return last !== undefined && last.used + bytes <= chunkBytes ? last : grow()
    },
    keep: (chunk, bytes) => {
      chunk.used += bytes
      written += bytes
    },
    written: () => written,
    waiting: () => written - released,
    release: (upTo) => {
      released = Math.max(released, upTo)
      const kept = chunks.filter(({ base, used }) => base + used > released)
      spare ??= chunks.find(({ base, used }) => base + used <= released)?.buffer
      chunks = kept
    },
    firstSeq: () => {
      const first = spans().find(({ from, to }) => from < to)
      return first === undefined ? undefined : seqOf(first.buffer, first.from)
    },
    spans
  }
}
