import * as Path from "node:path"
import { crc32c } from "@node-rs/crc32"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { JournalFiles } from "./JournalFiles.ts"
import { discard, writeAll } from "./OpenSegment.ts"
import { JournalIdentity } from "./SegmentHeader.ts"

/** The counts of an incarnation. */
export interface Counts {
  /** The last number given, to an event that was appended or shed; 0 before the first. */
  readonly lastSeq: number
  readonly refused: number
  readonly shed: number
  /** Failures were limited after the last summary of them. */
  readonly limiting?: boolean
}

/** The content of the file `state`, besides the identity. */
export interface CheckpointValues extends Counts {
  /** Every event up to this number is settled. */
  readonly acknowledged: number
  /** The incarnation ended in order, after a sync of everything that it appended. */
  readonly ended: boolean
}

/*
 * Two slots of fixed size, written in turn: a torn write leaves the other slot intact, and overwriting needs no space on a
 * full disk. Little-endian: magic (4 bytes), CRC32C of the rest of the slot (4), generation (8), last seq (8), refused
 * (8), shed (8), acknowledged (8), flags: 1 ended, 2 limiting (4), length of the JSON (4), identity as JSON, zeros.
 */
export const slotBytes = 2_048
export const stateBytes = 2 * slotBytes
const magic = 0x3153_4a1e
const jsonAt = 56

const Json = Schema.parseJson(JournalIdentity)
const encodeJson = Schema.encodeSync(Json)
const decodeJson = Schema.decodeOption(Json)

/**
 * Encodes into one reused slot, with generations after `last`. Throws when the identity has more than about two thousand bytes.
 */
export const makeSlot = (identity: JournalIdentity, last = 0) => {
  const slot = Buffer.alloc(slotBytes)
  const json = encodeJson(identity)
  if (Buffer.byteLength(json) > slotBytes - jsonAt) throw new RangeError("the journal's identity is too long")
  slot.writeUInt32LE(magic, 0)
  slot.writeUInt32LE(slot.write(json, jsonAt), 52)
  let generation = last
  return {
    /** Returns the slot's bytes, which are valid until the next call, and their position in the file. */
    next: (values: CheckpointValues): { readonly bytes: Buffer; readonly position: number } => {
      generation += 1
      slot.writeDoubleLE(generation, 8)
      slot.writeDoubleLE(values.lastSeq, 16)
      slot.writeDoubleLE(values.refused, 24)
      slot.writeDoubleLE(values.shed, 32)
      slot.writeDoubleLE(values.acknowledged, 40)
      slot.writeUInt32LE((values.ended ? 1 : 0) + (values.limiting === true ? 2 : 0), 48)
      slot.writeUInt32LE(crc32c(slot.subarray(8)), 4)
      return { bytes: slot, position: (generation % 2) * slotBytes }
    }
  }
}

export interface Checkpoint extends CheckpointValues {
  readonly identity: JournalIdentity
  readonly generation: number
}

const decodeSlot = (slot: Buffer): Option.Option<Checkpoint> => {
  if (slot.length < slotBytes || slot.readUInt32LE(0) !== magic) return Option.none()
  if (slot.readUInt32LE(4) !== crc32c(slot.subarray(8, slotBytes))) return Option.none()
  return Option.map(decodeJson(slot.toString("utf8", jsonAt, jsonAt + slot.readUInt32LE(52))), (identity) => ({
    identity,
    generation: slot.readDoubleLE(8),
    lastSeq: slot.readDoubleLE(16),
    refused: slot.readDoubleLE(24),
    shed: slot.readDoubleLE(32),
    acknowledged: slot.readDoubleLE(40),
    ended: (slot.readUInt32LE(48) & 1) !== 0,
    ...((slot.readUInt32LE(48) & 2) === 0 ? {} : { limiting: true })
  }))
}

/** Decodes the later of the intact slots. Never throws. */
export const decode = (bytes: Buffer): Option.Option<Checkpoint> => {
  const intact = [0, slotBytes].flatMap((at) => Option.toArray(decodeSlot(bytes.subarray(at, at + slotBytes))))
  return Option.fromNullable(intact.toSorted((a, b) => b.generation - a.generation)[0])
}

export const stateName = "state"

const initial: CheckpointValues = { lastSeq: 0, refused: 0, shed: 0, acknowledged: 0, ended: false }

/**
 * Opens the file `state` of a journal: the checkpoint that says what is settled. Creates it, or continues that of a dead
 * incarnation after its last `generation`. Throws on a disk error.
 */
export const open = (options: {
  readonly files: JournalFiles
  readonly directory: string
  readonly identity: JournalIdentity
  readonly generation: number | undefined
}) => {
  const { directory, files, generation, identity } = options
  const path = Path.join(directory, stateName)
  const slot = makeSlot(identity, generation)
  const fd = generation === undefined ? files.create(path) : files.open(path)
  let isOpen = true

  const write = (values: CheckpointValues) => {
    const { bytes, position } = slot.next(values)
    writeAll(files, fd, bytes, 0, bytes.length, position)
  }

  if (generation === undefined) {
    try {
      // Writes the whole file at once, so that later writes need no more space.
      writeAll(files, fd, Buffer.alloc(stateBytes - slotBytes), 0, slotBytes, 0)
      write(initial)
    } catch (cause) {
      discard(files, fd, path)
      throw cause
    }
  }

  return {
    /** Overwrites the older slot. Returns false when that failed: the previous values remain. */
    write: (values: CheckpointValues): boolean => {
      if (!isOpen) return false
      try {
        write(values)
        return true
      } catch {
        return false
      }
    },
    sync: () => files.fdatasync(fd),
    /** Harmless when repeated. */
    close: () => {
      if (!isOpen) return
      isOpen = false
      try {
        files.close(fd)
      } catch {
        // The descriptor is closed in any case.
      }
    }
  }
}

export type CheckpointFile = ReturnType<typeof open>
