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

/** Encodes an entry: format (1 byte), id (16), digest (32). Throws a RangeError for a member that is not in its one form. */
export const encodeEntry = ({ digest, format, id }: LeafEntry): Uint8Array => {
  const entry = new Uint8Array(entryLength)
  if (!Number.isInteger(format) || format < 1 || format > 255)
    throw new RangeError("a format is a number from 1 to 255")
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) throw new RangeError("an id is a UUID in lower case")
  if (!/^[0-9a-f]{64}$/.test(digest)) throw new RangeError("a digest has 64 hexadecimal digits")
  entry[0] = format
  entry.set(Buffer.from(id.replaceAll("-", "") + digest, "hex"), 1)
  return entry
}
