/** Bytes of an entry: the format, the id and the digest of an event. */
export const entryLength = 49

/** What the tree holds of an event. It has no content, so entries may be public and stay after their event is gone. */
export interface LeafEntry {
  /** The format of the event, from 1. */
  readonly format: number
  /** A UUID in lower case. */
  readonly id: string
  /** The event's `leaf_hash`: 64 hexadecimal digits. */
  readonly digest: string
}

/** Encodes an entry: format (1 byte), id (16), digest (32). */
export const encodeEntry = ({ digest, format, id }: LeafEntry): Uint8Array => {
  const entry = new Uint8Array(entryLength)
  const hex = id.replaceAll("-", "") + digest
  if (hex.length !== 96 || !/^[0-9a-f]+$/.test(hex) || !Number.isInteger(format) || format < 1 || format > 255) {
    throw new RangeError(
      `an entry needs a format from 1 to 255, a UUID and a digest; got ${format}, ${id} and ${digest}`
    )
  }
  entry[0] = format
  entry.set(Buffer.from(hex, "hex"), 1)
  return entry
}
