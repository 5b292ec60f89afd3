import { crc32c } from "@node-rs/crc32"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/** The owner of a journal: one incarnation of a process, for one trail. */
export const JournalIdentity = Schema.Struct({
  /** The id of the trail, a uuid: a journal is written to no other trail. */
  trail: Schema.String,
  /** The incarnation's uuid. */
  source: Schema.String,
  bootId: Schema.String,
  /** Milliseconds since the epoch. */
  startedAt: Schema.Number,
  host: Schema.String,
  pid: Schema.Number,
  /** The mode with its exceptions, as text. */
  durability: Schema.String
})
export type JournalIdentity = typeof JournalIdentity.Type

/**
 * Where an earlier segment ends, if its file does not end there: a write or a sync of it failed, and what it held after that
 * offset is in the later segment, or was refused.
 */
export const Predecessor = Schema.Struct({
  segment: Schema.Number,
  /** Bytes from this offset on are ignored. */
  end: Schema.Number
})
export type Predecessor = typeof Predecessor.Type

export const SegmentHeader = Schema.Struct({
  ...JournalIdentity.fields,
  firstSeq: Schema.Number,
  /** Makes the checksums of two segments start differently. */
  nonce: Schema.String,
  /** The earlier segments whose files are longer than their valid bytes. */
  predecessors: Schema.Array(Predecessor)
})
export type SegmentHeader = typeof SegmentHeader.Type

/*
 * Little-endian: magic (8 bytes), format version (4), length of the JSON (4), CRC32C of version, length and JSON (4), JSON.
 */
const magic = Buffer.from("GravJrn\x1e", "latin1")
const versionAt = 8
const lengthAt = 12
const crcAt = 16
const jsonAt = 20

export const formatVersion = 1

/** No header is longer. */
export const maxHeader = 16 * 1_024

const Json = Schema.parseJson(SegmentHeader)
const encodeJson = Schema.encodeSync(Json)
const decodeJson = Schema.decodeOption(Json)

/** Over version, length and JSON. */
export const checksum = (bytes: Buffer, end: number): number =>
  crc32c(bytes.subarray(jsonAt, end), crc32c(bytes.subarray(versionAt, crcAt)))

/** Encodes a header. Returns its bytes and the seed of its frames' checksums. */
export const encode = (header: SegmentHeader): { readonly bytes: Buffer; readonly seed: number } => {
  const json = Buffer.from(encodeJson(header))
  const bytes = Buffer.concat([magic, Buffer.alloc(jsonAt - magic.length), json])
  bytes.writeUInt32LE(formatVersion, versionAt)
  bytes.writeUInt32LE(json.length, lengthAt)
  const seed = checksum(bytes, bytes.length)
  bytes.writeUInt32LE(seed, crcAt)
  return { bytes, seed }
}

export type ReadHeader =
  | { readonly _tag: "Valid"; readonly header: SegmentHeader; readonly length: number; readonly seed: number }
  /** Either the checksum or the rest is damaged, so frames are valid under both seeds. */
  | { readonly _tag: "Damaged"; readonly seeds: ReadonlyArray<number> }
  /** Intact, and of a later format. */
  | { readonly _tag: "Newer"; readonly version: number }

/** Reads a header from the first bytes of a file, `maxHeader` or as many as there are. Never throws. */
export const decode = (bytes: Buffer): ReadHeader => {
  if (bytes.length < jsonAt) return { _tag: "Damaged", seeds: [] }
  const stored = bytes.readUInt32LE(crcAt)
  const length = jsonAt + bytes.readUInt32LE(lengthAt)
  if (length > bytes.length) return { _tag: "Damaged", seeds: [stored] }
  const computed = checksum(bytes, length)
  if (computed !== stored || magic.compare(bytes, 0, magic.length) !== 0) {
    return { _tag: "Damaged", seeds: [stored, computed] }
  }
  const version = bytes.readUInt32LE(versionAt)
  if (version > formatVersion) return { _tag: "Newer", version }
  return Option.match(decodeJson(bytes.toString("utf8", jsonAt, length)), {
    onNone: (): ReadHeader => ({ _tag: "Damaged", seeds: [stored] }),
    onSome: (header) => ({ _tag: "Valid", header, length, seed: stored })
  })
}
