import { crc32c } from "@node-rs/crc32"

/*
 * A frame, little-endian: magic (4 bytes), CRC32C of all that follows (4), length of the payload (4), number of the event
 * (8), payload (canonical JSON, UTF-8). The CRC starts from that of the segment's header, so that a frame that was copied
 * from another segment is not valid here.
 */

/** Contains a byte below 0x20, which canonical JSON always escapes, so no event contains the start of a frame. */
export const magic = Buffer.from([0x1e, 0x47, 0x4a, 0x9f])

const separator = 0x1e
const magicWord = magic.readUInt32LE(0)

const crcAt = 4
const lengthAt = 8
const seqAt = 12
export const frameHead = 20

/** Far more than the bounds of an event allow; a larger length is damage. */
export const maxPayload = 256 * 1_024
export const maxFrame = frameHead + maxPayload

const word = 2 ** 32

const payloadLength = (bytes: Buffer, at: number): number => bytes.readUInt32LE(at + lengthAt)

export const seqOf = (bytes: Buffer, at: number): number =>
  bytes.readUInt32LE(at + seqAt) + bytes.readUInt32LE(at + seqAt + 4) * word

/** Computes the checksum of an intact frame from another seed. Returns the length of the frame. */
export const seal = (bytes: Buffer, at: number, seed: number): number => {
  const end = at + frameHead + payloadLength(bytes, at)
  bytes.writeUInt32LE(crc32c(bytes.subarray(at + lengthAt, end), seed), at + crcAt)
  return end - at
}

/** Writes a frame at `at`; the caller has checked that it fits. Returns its length. */
export const encode = (bytes: Buffer, at: number, seq: number, json: string, seed: number): number => {
  const length = bytes.write(json, at + frameHead)
  bytes.writeUInt32LE(magicWord, at)
  bytes.writeUInt32LE(length, at + lengthAt)
  bytes.writeUInt32LE(seq % word, at + seqAt)
  bytes.writeUInt32LE(Math.floor(seq / word), at + seqAt + 4)
  return seal(bytes, at, seed)
}

/**
 * Checks for a frame at `at`. Returns its length if it is valid, 0 if there is none, and -1 if `end` is too close to tell.
 */
export const probe = (bytes: Buffer, at: number, end: number, seeds: ReadonlyArray<number>): number => {
  if (end - at < 4) return magic.compare(bytes, at, end, 0, end - at) === 0 ? -1 : 0
  if (bytes.readUInt32LE(at) !== magicWord) return 0
  if (end - at < frameHead) return -1
  const length = payloadLength(bytes, at)
  if (length === 0 || length > maxPayload || bytes.readUInt32LE(at + seqAt + 4) > 0x1f_ffff) return 0
  const payload = at + frameHead
  const frameEnd = payload + length
  // Checked before the checksum: a false start ends at the next one, so the search for a frame stays linear, whatever the
  // lengths say.
  const reach = Math.min(frameEnd, end)
  if (bytes.subarray(payload, reach).indexOf(separator) !== -1) return 0
  if (frameEnd > end) return -1
  const crc = bytes.readUInt32LE(at + crcAt)
  const body = bytes.subarray(at + lengthAt, frameEnd)
  return seeds.some((seed) => crc32c(body, seed) === crc) ? frameEnd - at : 0
}

export const payloadOf = (bytes: Buffer, at: number, length: number): string =>
  bytes.toString("utf8", at + frameHead, at + length)

interface Chunk {
  readonly buffer: Buffer
  used: number
  /** Bytes kept before its first. */
  base: number
}

/** Holds the longest frame, even when each of its characters needs three bytes. */
const chunkBytes = 4 * maxFrame

/** Encoded frames that may not be on the disk yet: after a failed sync only this copy is certain. */
export const makeUnsyncedFrames = (limit: number) => {
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

  /** The frames that wait for the disk, in order, as spans of whole frames. */
  const spans = () => chunks.map(({ base, buffer, used }) => ({ buffer, from: Math.max(0, released - base), to: used }))

  /** Whether `place` would return a place. */
  const hasRoom = (bytes: number): boolean => written - released + bytes <= limit

  return {
    hasRoom,
    /** Returns the place for the next frame of up to `bytes`; undefined when too many bytes wait for the disk. */
    place: (bytes: number): Chunk | undefined => {
      if (!hasRoom(bytes)) return undefined
      const last = chunks[chunks.length - 1]
      return last !== undefined && last.used + bytes <= chunkBytes ? last : grow()
    },
    /** Keeps the frame encoded at the chunk's `used`. */
    keep: (chunk: Chunk, bytes: number) => {
      chunk.used += bytes
      written += bytes
    },
    /** Bytes kept so far, in total. */
    written: () => written,
    waiting: () => written - released,
    /** Releases everything kept before `written` reached this value: it is on the disk. */
    release: (upTo: number) => {
      released = Math.max(released, upTo)
      const kept = chunks.filter(({ base, used }) => base + used > released)
      spare ??= chunks.find(({ base, used }) => base + used <= released)?.buffer
      chunks = kept
    },
    /** The number of the first frame that waits for the disk. */
    firstSeq: () => {
      const first = spans().find(({ from, to }) => from < to)
      return first === undefined ? undefined : seqOf(first.buffer, first.from)
    },
    spans
  }
}

export type UnsyncedFrames = ReturnType<typeof makeUnsyncedFrames>
